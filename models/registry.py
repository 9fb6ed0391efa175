"""Model sets and which of them is champion, as immutable objects.

A set's files come first and its manifest last, so an upload that broke off is never seen. The champion is the
highest-numbered record below `champion/`: promotion is one put that either happens or does not, and the list of
records is the history of what served when. Nothing is pickled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from models.errors import BadInput, SetError
from models.manifest import FILE_NAME, RETRAIN, Facts, Golden, decode, encode, fingerprint, parse_json, to_json
from models.minutes import Minute
from models.objects import Objects

SETS = "sets/"  # sets/<8 digits>/<name of a file>
CHAMPIONS = "champion/"  # champion/<8 digits>.json
CLAIM = "claim"  # put first: the number is taken
MANIFEST = "manifest.json"  # put last: the set is whole

_SET_KEY = re.compile(rf"{SETS}(\d{{8}})/(.+)")
_CHAMPION_KEY = re.compile(rf"{CHAMPIONS}(\d{{8}})\.json")


@dataclass(frozen=True, slots=True)
class StoredSet:
    """A set as it was saved, its checksums verified; `files` by name."""

    number: int
    files: dict[str, bytes]
    facts: Facts
    golden: Golden
    libraries: dict[str, str]


@dataclass(frozen=True, slots=True)
class ChampionRecord:
    """From minute `at` set `set_number` serves; `number` counts the records, `nonce` tells promoters apart."""

    number: int
    set_number: int
    nonce: str
    reason: str
    at: Minute


def save_set(objects: Objects, files: Mapping[str, bytes], facts: Facts, golden: Golden) -> int:
    """Store a set under the next free number and return it; two callers at once get two numbers.

    BadInput where a name cannot be a file's, or golden rows do not fit the features or hold an infinity.
    """
    if not files or not all(FILE_NAME.fullmatch(name) and name not in (CLAIM, MANIFEST) for name in files):
        raise BadInput(
            "files of a model set",
            expected=f"at least one, named by letters, digits, _, - and ., none {CLAIM} or {MANIFEST}",
            got=repr(sorted(files)),
            remedy="Name them like median.ubj.",
        )
    manifest = encode(files, facts, golden)
    number = max((int(found[1]) for key in objects.list(SETS) if (found := _SET_KEY.fullmatch(key))), default=0) + 1
    while not objects.put_once(_set_key(number, CLAIM), b""):
        number += 1
    for name, data in (*files.items(), (MANIFEST, manifest)):
        key = _set_key(number, name)
        # A driver that retried after a lost reply finds its own bytes.
        if not objects.put_once(key, data) and objects.get(key) != data:
            raise _broken(number, f"only this upload below {SETS}{number:08}", f"another {name}", "Save the set again.")
    return number


def set_numbers(objects: Objects) -> list[int]:
    """Numbers of the sets that are whole, ascending."""
    matches = (_SET_KEY.fullmatch(key) for key in objects.list(SETS))
    return [int(match[1]) for match in matches if match and match[2] == MANIFEST]


def load_set(objects: Objects, number: int) -> StoredSet:
    """The set with this number. SetError where manifest or file is missing, unreadable, or not what was saved."""
    data = _fetch(objects, number, MANIFEST)
    facts, golden, listed, made_with = decode(f"manifest of model set {number}", data)
    files = {name: _fetch(objects, number, name) for name in listed}
    for name, content in files.items():
        if (got := fingerprint(content)) != listed[name]:
            raise _broken(number, f"{name} with {listed[name]}", f"{got}", RETRAIN)
    return StoredSet(number, files, facts, golden, made_with)


def promote(objects: Objects, number: int, nonce: str, reason: str, at: Minute) -> ChampionRecord:
    """Make set `number` champion and return the record; a retry with the same `nonce` returns the first one.

    SetError where the set cannot be loaded; BadInput where the nonce promoted another set.
    """
    load_set(objects, number)
    while True:
        records = champions(objects)
        for record in records:
            if record.nonce == nonce:
                return _same_set(record, number)
        record = ChampionRecord(records[-1].number + 1 if records else 1, number, nonce, reason, at)
        # False: another promoter took the number, or the reply to our own put was lost. The list tells which.
        if objects.put_once(f"{CHAMPIONS}{record.number:08}.json", to_json(asdict(record))):
            return record


def champion(objects: Objects) -> ChampionRecord | None:
    """The record in force; None before the first promotion."""
    keys = _champion_keys(objects)
    return _read_champion(objects, keys[-1]) if keys else None


def champions(objects: Objects) -> list[ChampionRecord]:
    """What served when, oldest first."""
    return [_read_champion(objects, key) for key in _champion_keys(objects)]


def _champion_keys(objects: Objects) -> list[str]:
    return [key for key in objects.list(CHAMPIONS) if _CHAMPION_KEY.fullmatch(key)]


def _read_champion(objects: Objects, key: str) -> ChampionRecord:
    return parse_json(key, objects.get(key), lambda fields: ChampionRecord(**fields))


def _same_set(record: ChampionRecord, number: int) -> ChampionRecord:
    if record.set_number != number:
        got = f"{record.nonce!r}, which promoted set {record.set_number}"
        raise BadInput("nonce", expected=f"a new one for set {number}", got=got, remedy="Draw one per promotion.")
    return record


def _fetch(objects: Objects, number: int, name: str) -> bytes:
    try:
        return objects.get(_set_key(number, name))
    except SetError as error:
        raise _broken(number, f"its {name}", "none: never uploaded whole, or deleted", RETRAIN) from error


def _broken(number: int, expected: str, got: str, remedy: str) -> SetError:
    return SetError(f"model set {number}", expected=expected, got=got, remedy=remedy)


def _set_key(number: int, name: str) -> str:
    return f"{SETS}{number:08}/{name}"
