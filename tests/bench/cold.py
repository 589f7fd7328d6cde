"""What a cold start costs in Python: a fresh process, on the deployment's zip as it is and without what was done to it.

Lambda's own part (fetching the zip, starting a sandbox and the interpreter) can only be measured on AWS.
"""

from __future__ import annotations

import shutil
import statistics
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import botocore

from infra import archive, package
from tests.infra import unzipped

#: What each function does before its first call to AWS: its imports, and the clients that it calls with.
_FIRST: Final[Mapping[str, str]] = {
    "API": """
from chalicelib.api.trigger_api import runs
table.connection().connection.client
clients.own_lambda()
""",
    "drive": """
from chalicelib.workers import drive
table.connection().connection.client
clients.own_lambda(), clients.step_functions(), clients.s3()
""",
}
_MEASURE: Final = """
import time
began = time.process_time()
import app
from chalicelib.gateways import clients
from chalicelib.store import table
{first}
print(time.process_time() - began)
"""


@dataclass(frozen=True, kw_only=True)
class Start:
    """One zip's cold starts."""

    #: What was done to it.
    name: str
    #: What it would hold, in MB, zipped and not.
    zipped_mb: float
    unzipped_mb: float
    #: By function: the median of the processor's seconds, which other programs hardly disturb.
    seconds: Mapping[str, float]
    #: By function: the median of the rounds' own ratios to the first of the zips.
    ratios: Mapping[str, float]


def measure(rounds: int) -> list[Start]:
    """Start each function so many times on each zip, in turn; the first is the one that is deployed."""
    with TemporaryDirectory() as made:
        folders = dict(_zips(Path(made)))
        weights = {name: _weight(folder) for name, folder in folders.items()}
        for folder in folders.values():
            unzipped.fit(folder)
        took: dict[tuple[str, str], list[float]] = {(name, first): [] for name in folders for first in _FIRST}
        for goes in range(rounds + 1):
            for (name, first), seconds in took.items():
                second = float(unzipped.run(folders[name], _MEASURE.format(first=_FIRST[first])))
                if goes:  # the first go reads the files from the disk
                    seconds.append(second)
    deployed = next(iter(folders))
    return [
        Start(
            name=name,
            zipped_mb=weight.zipped / 1e6,
            unzipped_mb=weight.unzipped / 1e6,
            seconds={first: statistics.median(took[name, first]) for first in _FIRST},
            ratios={first: _ratio(took[name, first], took[deployed, first]) for first in _FIRST},
        )
        for name, weight in weights.items()
    ]


def _zips(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield what is deployed, the same without its bytecode, with all of botocore's models, and without either."""
    deployed = folder / "deployed"
    with zipfile.ZipFile(package.package(folder / "package").with_name("deployment.zip")) as zipped:
        zipped.extractall(deployed)
    yield "as deployed", deployed
    yield "no bytecode", shutil.copytree(deployed, folder / "sources", ignore=shutil.ignore_patterns("__pycache__"))
    whole = shutil.copytree(deployed, folder / "whole")
    shutil.copytree(Path(botocore.__file__).with_name("data"), whole / "botocore" / "data", dirs_exist_ok=True)
    yield "all models", whole
    yield "neither", shutil.copytree(whole, folder / "neither", ignore=shutil.ignore_patterns("__pycache__"))


def _weight(folder: Path) -> archive.Contents:
    with TemporaryDirectory() as zipped:
        archive.write(Path(zipped) / "deployment.zip", folder)
        return archive.contents(Path(zipped) / "deployment.zip")


def _ratio(times: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(times, others, strict=True))
