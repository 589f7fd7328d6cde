"""The libraries that run on Lambda, fetched for its processor and without what never runs there."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from chalicelib.gateways.clients import SERVICES
from infra.trouble import Trouble, one_line

#: What AWS is called by: the gateways' services, and PynamoDB's own.
MODELS: Final = frozenset({*SERVICES, "dynamodb"})

#: The tool that packages. Of it the zip needs the two modules that Chalice itself puts there, and nothing that its
#: command line stands on (pip, setuptools, click, …).
_PACKAGER: Final = "chalice"
#: What is required and not deployed: nothing that runs on Lambda imports boto3, only what deploys it does.
_LEFT_OUT: Final = frozenset({_PACKAGER, "boto3"})
#: pip's own words for the processors that Lambda has.
_MACHINES: Final = {"arm64": "aarch64", "x86_64": "x86_64"}
#: The glibc 2.x of a runtime: Amazon Linux 2 up to Python 3.11, then Amazon Linux 2023.
_LAST_OF_AMAZON_LINUX_2: Final = (3, 11)
_GLIBC_2: Final = 26
_GLIBC_2023: Final = 34
#: The oldest that wheels are named after, by PEP 600.
_GLIBC_OLDEST: Final = 17

_RUNTIME: Final = re.compile(r"python(\d+)\.(\d+)")
#: What pip writes about an installation; it would be untrue of the zip.
_RECORDS: Final = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
#: What says which version of a library is used, and under what terms.
_TERMS: Final = re.compile(r"METADATA|(?i:licen[cs]e|notice|copying)")


@dataclass(frozen=True, kw_only=True)
class Target:
    """What Lambda runs the code on."""

    #: Lambda's name of it: ``python3.13``.
    runtime: str
    #: Lambda's name of it: ``arm64`` or ``x86_64``.
    architecture: str

    @property
    def python(self) -> tuple[int, int]:
        """Python's version; Trouble where it is not this interpreter's, which compiles for it."""
        match = _RUNTIME.fullmatch(self.runtime)
        version = (int(match[1]), int(match[2])) if match else None
        if version != sys.version_info[:2]:
            here = ".".join(map(str, sys.version_info[:2]))
            raise Trouble(f"the functions run on {self.runtime} and this is Python {here}: package with the same one")
        return sys.version_info[:2]


def platforms(python: tuple[int, int], architecture: str) -> list[str]:
    """Return the platforms whose wheels run there; pip takes each tag literally, so older ones are named too."""
    newest = _GLIBC_2 if python <= _LAST_OF_AMAZON_LINUX_2 else _GLIBC_2023
    machine = _MACHINES[architecture]
    names = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, _GLIBC_OLDEST - 1, -1)]
    return [*names, f"manylinux2014_{machine}"]


def fetch(requirements: Path, target: Target, *, cache: Path) -> Path:
    """Return a folder with what the file requires, and whatever that requires, as it goes into the zip.

    All versions are those of this environment, the ones that the tests ran with. The folder is made once for the same
    versions and target, and must not be changed; Trouble where a wheel is missing.
    """
    wanted = versions(requirements, target.architecture)
    packager = metadata.version(_PACKAGER)
    made = cache / _digest([wanted, packager, target.python, target.architecture, sorted(MODELS), sys.version])
    if made.is_dir():
        return made
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        fresh = Path(folder) / "fresh"
        _install(wanted, target, fresh)
        trim(fresh)
        _add_terms(_PACKAGER, fresh)
        compile_sources(fresh)
        # Whoever makes the same folder meanwhile makes it of the same files: the first to be done is kept.
        try:
            fresh.rename(made)
        except OSError:
            if not made.is_dir():
                raise
    return made


def versions(requirements: Path, architecture: str) -> list[str]:
    """Return all that the file requires on Lambda, directly or not, as `name==version` of what is installed here.

    Trouble where something is not installed, or in another version than the file asks for.
    """
    system = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    system["platform_machine"] = _MACHINES[architecture]
    lines = (line.partition("#")[0].strip() for line in requirements.read_text().splitlines())
    awaiting = [each for each in map(Requirement, filter(None, lines)) if each.name not in _LEFT_OUT]
    seen: set[str] = set()
    found: set[str] = set()
    while awaiting:
        requirement = awaiting.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        installed = _installed(requirement)
        found.add(f"{canonicalize_name(requirement.name)}=={installed.version}")
        for each in map(Requirement, installed.requires or ()):
            extras = requirement.extras or {""}
            if each.marker is None or any(each.marker.evaluate(system | {"extra": extra}) for extra in extras):
                awaiting.append(each)
    return sorted(found)


def trim(folder: Path) -> None:
    """Remove from a folder of libraries what never runs on Lambda."""
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for record in (folder.glob(f"*.dist-info/{name}") for name in _RECORDS):
        for path in record:
            path.unlink()
    # botocore looks through the folders of all services before it makes a client; what all share are files beside them.
    for path in (folder / "botocore" / "data").iterdir():
        if path.is_dir() and path.name not in MODELS:
            shutil.rmtree(path)


def compile_sources(folder: Path) -> None:
    """Put bytecode beside the sources: Lambda's copy is read-only, so each cold start would compile them anew.

    It is taken as it is, whatever the sources' dates. A process of its own, with nothing else loaded, compiles, so that
    the same sources give the same bytes; Trouble where one of them is no Python.
    """
    options = ["-qq", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", "/var/task"]
    done = subprocess.run([sys.executable, "-I", "-S", "-m", "compileall", *options, str(folder)], check=False)
    if done.returncode:
        raise Trouble(f"a source under {folder} does not compile: run python -m compileall -q on it")


def _install(wanted: Sequence[str], target: Target, folder: Path) -> None:
    major, minor = target.python
    options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={major}.{minor}"]
    options += [f"--platform={name}" for name in platforms(target.python, target.architecture)]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-compile"]
    pip = [sys.executable, "-m", "pip", "install", *quiet, "--no-deps", "--target", str(folder)]
    done = subprocess.run([*pip, *options, *wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = one_line(errors[-1] if errors else done.stderr)
        raise Trouble(f"pip finds no wheels for {target.runtime} on {target.architecture}: {reason}")


def _installed(requirement: Requirement) -> metadata.Distribution:
    try:
        installed = metadata.distribution(requirement.name)
    except metadata.PackageNotFoundError:
        raise Trouble(f"{requirement} is not installed: make venv installs it") from None
    if not requirement.specifier.contains(installed.version, prereleases=True):
        raise Trouble(f"{requirement} is required, and {installed.version} installed: make venv installs it")
    return installed


def _add_terms(name: str, folder: Path) -> None:
    distribution = metadata.distribution(name)
    for file in distribution.files or ():
        if _TERMS.search(file.name) and file.parts[0].endswith(".dist-info"):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(distribution.locate_file(file)), folder / file)


def _digest(parts: Sequence[object]) -> str:
    rules = Path(__file__).read_text()
    return hashlib.sha256(json.dumps([rules, *parts]).encode()).hexdigest()[:20]
