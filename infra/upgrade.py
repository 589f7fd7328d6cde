"""`make upgrade`: moves every pin of the requirements files to the newest release; run the tests after it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
FILES = ("requirements.txt", "requirements-dev.txt")

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?P<extras>\[[^\]]*\])?==(?P<version>\S+)$", re.MULTILINE)


def names(text: str) -> list[str]:
    """Return what a requirements file pins, extras included, without the versions."""
    return [match["name"] + (match["extras"] or "") for match in _PIN.finditer(text)]


def pinned(text: str, versions: dict[str, str]) -> str:
    """Return the file with each pin at its version."""
    return _PIN.sub(lambda match: f"{match['name']}{match['extras'] or ''}=={versions[match['name']]}", text)


def main() -> int:
    """Install the newest of everything into this environment, then write down what that came to."""
    texts = {name: (PROJECT / name).read_text() for name in FILES}
    wanted = [name for text in texts.values() for name in names(text)]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", *wanted], check=True)
    for file, text in texts.items():
        versions = {name.partition("[")[0]: metadata.version(name.partition("[")[0]) for name in names(text)}
        (PROJECT / file).write_text(pinned(text, versions))
    return 0


if __name__ == "__main__":
    sys.exit(main())
