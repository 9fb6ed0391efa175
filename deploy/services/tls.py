"""An authority and a certificate for 127.0.0.1, made by Java's keytool at the first start; for tests only."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import NamedTuple

from deploy.services.java import program, run
from deploy.services.server import locked

NAMES = "san=dns:localhost,ip:127.0.0.1"
USAGE = ["-ext", "ku:critical=keyCertSign,cRLSign"]


class Tls(NamedTuple):
    """`ca_file`: PEM, what a client trusts. `keystore`: PKCS12, what a server shows, opened by `password`."""

    ca_file: Path
    keystore: Path
    password: str


def certificates(home: Path) -> Tls:
    """The certificates under `home`, made where there are none (a few seconds, once)."""
    folder = home / "tls"
    with locked(home / "lock"):
        if not folder.exists():
            new = home / "tls.new"
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(mode=0o700, parents=True)
            (new / "password").write_text(secrets.token_hex(16), "ascii")
            _make(_at(new), new)
            new.replace(folder)
    return _at(folder)


def _at(folder: Path) -> Tls:
    return Tls(folder / "ca.pem", folder / "broker.p12", (folder / "password").read_text("ascii"))


def _make(made: Tls, folder: Path) -> None:
    keytool = program("keytool")
    authority, request, signed = folder / "ca.p12", folder / "broker.csr", folder / "broker.pem"

    def tool(action: str, store: Path, *more: str) -> None:
        run([keytool, action, "-keystore", str(store), "-storetype", "PKCS12", "-storepass", made.password, *more])

    key = ["-keyalg", "EC", "-groupname", "secp256r1", "-validity", "3650"]
    tool(
        "-genkeypair",
        authority,
        *key,
        "-alias",
        "ca",
        "-dname",
        "CN=zhuge tests",
        "-ext",
        "bc:critical=ca:true",
        *USAGE,
    )
    tool("-exportcert", authority, "-alias", "ca", "-rfc", "-file", str(made.ca_file))
    tool("-genkeypair", made.keystore, *key, "-alias", "broker", "-dname", "CN=127.0.0.1")
    tool("-certreq", made.keystore, "-alias", "broker", "-file", str(request))
    sign = ["-alias", "ca", "-validity", "3650", "-rfc", "-ext", NAMES]
    tool("-gencert", authority, *sign, "-infile", str(request), "-outfile", str(signed))
    tool("-importcert", made.keystore, "-noprompt", "-alias", "ca", "-file", str(made.ca_file))
    tool("-importcert", made.keystore, "-noprompt", "-alias", "broker", "-file", str(signed))
