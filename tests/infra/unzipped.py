"""A deployment's zip, unzipped so that it runs here: on nothing but itself and Python's own library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.infra import lambda_runtime

#: Nothing of this environment's libraries; and, as on Lambda, no bytecode but what is there.
PYTHON = (sys.executable, "-I", "-S", "-B")
_HERE = Path(sysconfig.get_path("platlib"))


def unzip(archive: Path, folder: Path) -> Path:
    """Unzip it and return the folder; but for what is compiled, all that runs of it is the zip's own."""
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(folder)
    fit(folder)
    return folder


def fit(folder: Path) -> None:
    """Put what is compiled for this machine beside what is compiled for Lambda's processor, of the same versions."""
    for name in {path.parent.relative_to(folder) for path in folder.rglob("*.so")}:
        for path in (_HERE / name).glob("*.so"):
            shutil.copy(path, folder / name)


def run(folder: Path, code: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a program on what was unzipped and return what it prints."""
    program = f"import sys; sys.path.insert(0, sys.argv.pop(1))\n{code}"
    done = subprocess.run(
        [*PYTHON, "-c", program, folder, *arguments],
        env={"AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "us-east-1", **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Have what was unzipped answer at an address, with this process's settings of Stepwell and AWS."""
    settings = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "STEPWELL_", "POWER"))}
    command = [*PYTHON, lambda_runtime.__file__, str(folder)]
    with subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()
