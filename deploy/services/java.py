"""What servers on the JVM need: Java, and their jars, which Maven resolves from pom.xml."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.services.process import UTF8, tail
from deploy.services.server import ServiceError, locked

POM = Path(__file__).with_name("pom.xml")
LEAST_JAVA = 17
REMEDY = "Install them: sudo apt-get install default-jre-headless maven"
LOG = [  # warnings and worse, so that the end of the log says why
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.showThreadName=false",
]


def need_java() -> None:
    """ServiceError where there is no Java of version 17 or later."""
    program("java")
    told = run(["java", "-version"])
    version = re.search(r'version "(?:1\.)?(\d+)', told)
    if version is None or int(version[1]) < LEAST_JAVA:
        got = told.partition("\n")[0]
        raise ServiceError("Java is too old", expected=f"version {LEAST_JAVA} or later", got=got, remedy=REMEDY)


def program(name: str) -> str:
    """Where a program of Java's or Maven's is; ServiceError where it is not installed."""
    found = shutil.which(name)
    if found is None:
        expected = f"Java {LEAST_JAVA} or later, and Maven"
        raise ServiceError(f"no {name} on the PATH", expected=expected, got="none", remedy=REMEDY)
    return found


def classpath(home: Path) -> str:
    """The jars of pom.xml, resolved again only where it has changed or a jar has gone. Reads no network otherwise."""
    file = home / f"classpath-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    with locked(home / "lock"):
        if not _whole(file):
            sys.stderr.write("services: Maven resolves the jars (once, 45 MB where it has none)\n")
            new = file.with_suffix(".new")
            maven = [program("mvn"), "--quiet", "--batch-mode", "--file", str(POM), "dependency:build-classpath"]
            run([*maven, "-Dmdep.includeScope=runtime", f"-Dmdep.outputFile={new}"])
            new.replace(file)
        return file.read_text("utf-8").strip()


def properties(text: str) -> str:
    """A text as Java reads it from a properties file, which is Latin-1: other characters as \\uXXXX."""
    return "".join(sign if sign.isascii() else json.dumps(sign)[1:-1] for sign in text)


def run(command: list[str]) -> str:
    """Output of a short command; ServiceError with its words where it fails."""
    environment = os.environ | UTF8
    done = subprocess.run(  # noqa: PLW1510, S603 (the exit code is read below; no word of the command comes from outside)
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, encoding="utf-8", errors="replace"
    )
    if done.returncode != 0:
        what, got = f"`{Path(command[0]).name}` failed", f"exit code {done.returncode}"
        raise ServiceError(what, expected="exit code 0", got=got, remedy=f"It said:\n{tail(done.stdout)}")
    return done.stdout


def _whole(file: Path) -> bool:
    return file.exists() and all(map(os.path.exists, file.read_text("utf-8").strip().split(os.pathsep)))
