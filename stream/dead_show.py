"""A dead letter as a person sees it; nothing in it can move the cursor, forge a line or turn the text around."""

from __future__ import annotations

from datetime import UTC, datetime

from stream.dead import DeadLetter

LINE_BYTES = 16


def plain(text: str) -> str:
    """`text` on one line, with what cannot be printed (control characters, marks of direction) escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def shown(raw: bytes | None) -> str:
    """Bytes on one line: as text where they are UTF-8, else as Python would write them."""
    if raw is None:
        return "none"
    try:
        return plain(raw.decode())
    except UnicodeDecodeError:
        return repr(raw)


def moment(epoch_ms: int) -> str:
    """`2026-03-10T12:00:07.250Z`; a time that no calendar has is shown as its number."""
    try:
        return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{epoch_ms} ms"


def describe(letter: DeadLetter, written_ms: int, *, as_hex: bool = False) -> str:
    """The whole letter: what is known of the message, then its bytes as text, or as a hexdump where they are none."""
    size = f"{letter.size_bytes:,} bytes" + (", of which the beginning was kept" if letter.truncated else "")
    fields = {
        "message": f"{plain(letter.topic)}/{letter.partition}/{letter.offset}",
        "reason": plain(letter.reason),
        "detail": plain(letter.detail),
        "written": moment(written_ms),
        "sent": moment(letter.timestamp_ms),
        "key": shown(letter.key),
        "value": "none" if letter.value is None else size,
    }
    lines = [f"{name:<8} {text}" for name, text in fields.items()]
    if letter.value is not None:
        lines += ["", *_body(letter.value, as_hex=as_hex)]
    return "\n".join(lines)


def _body(value: bytes, *, as_hex: bool) -> list[str]:
    if not as_hex:
        try:
            text = value.decode()
        except UnicodeDecodeError:
            pass
        else:
            if "\0" not in text:
                return [plain(line) for line in text.split("\n")]
    return hexdump(value)


def hexdump(raw: bytes) -> list[str]:
    """`00000010  7b 22 68 6f …  |{"ho…|`, sixteen bytes a line."""
    lines = []
    for start in range(0, len(raw), LINE_BYTES):
        piece = raw[start : start + LINE_BYTES]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
        lines.append(f"{start:08x}  {piece.hex(' '):<{3 * LINE_BYTES - 1}}  |{text}|")
    return lines
