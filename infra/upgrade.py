"""`make upgrade`: moves every pin of the requirements files to the newest release; run the tests after it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Final

PROJECT = Path(__file__).resolve().parent.parent
#: What is installed into which environment.
ENVIRONMENTS: Final = MappingProxyType(
    {".venv": ("requirements.txt", "requirements-dev.txt"), ".venv-audit": ("requirements-audit.txt",)}
)
FILES = tuple(file for files in ENVIRONMENTS.values() for file in files)

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?P<extras>\[[^\]]*\])?==(?P<version>\S+)$", re.MULTILINE)


def names(text: str) -> list[str]:
    """Return what a requirements file pins, extras included, without the versions."""
    return [match["name"] + (match["extras"] or "") for match in _PIN.finditer(text)]


def pinned(text: str, versions: dict[str, str]) -> str:
    """Return the file with each pin at its version."""
    return _PIN.sub(lambda match: f"{match['name']}{match['extras'] or ''}=={versions[match['name']]}", text)


def main() -> int:
    """Install the newest of everything into each environment, then write down what that came to."""
    for environment, files in ENVIRONMENTS.items():
        python = PROJECT / environment / "bin" / "python"
        texts = {file: (PROJECT / file).read_text() for file in files}
        wanted = [name for text in texts.values() for name in names(text)]
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", *wanted], check=True)
        versions = _installed(python, [name.partition("[")[0] for name in wanted])
        for file, text in texts.items():
            (PROJECT / file).write_text(pinned(text, versions))
    return 0


def _installed(python: Path, wanted: list[str]) -> dict[str, str]:
    """Return the versions in that Python's environment."""
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    told = subprocess.run([python, "-c", code, *wanted], capture_output=True, text=True, check=True).stdout.split()
    return dict(zip(wanted, told, strict=True))


if __name__ == "__main__":
    sys.exit(main())
