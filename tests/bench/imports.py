"""What importing the app costs, against importing the libraries that it stands on: each in a fresh interpreter."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Final

from infra.local.dynamodb import PROJECT

_APP: Final = "import app"
#: With names, as an app imports them: the modules alone load little, pydantic for one waits until it is asked.
_LIBRARIES: Final = (
    "from chalice import Chalice; from pynamodb.models import Model; from pydantic import BaseModel, Field, RootModel; "
    "from aws_lambda_powertools import Logger"
)
_MODULES: Final = "import chalice, pynamodb, pydantic, aws_lambda_powertools"
_MEASURE: Final = """
import json, resource, time
began = time.process_time()
{imports}
seconds = time.process_time() - began
status = open("/proc/self/status").read()
resident = int(status.partition("VmRSS:")[2].split()[0]) / 1024
print(json.dumps([seconds, resident]))
"""


@dataclass(frozen=True, kw_only=True)
class Imports:
    """Medians; the time is the processor's, which other programs do not disturb."""

    #: Of `import app`, and of importing the libraries alone.
    app_seconds: float
    library_seconds: float
    #: Median of the rounds' own ratios.
    ratio: float
    #: The same, to the libraries' top modules, none of whose names is asked for.
    module_ratio: float
    #: Resident memory after `import app`, in MB.
    resident_mb: float
    library_resident_mb: float


def measure(rounds: int) -> Imports:
    """Import both in turn, so many times."""
    with TemporaryDirectory() as compiled:
        _once(_APP, compiled)  # compiles all of it: what is measured is importing
        pairs = [tuple(_once(each, compiled) for each in (_APP, _LIBRARIES, _MODULES)) for _ in range(rounds)]
    return Imports(
        app_seconds=statistics.median(app[0] for app, _, _ in pairs),
        library_seconds=statistics.median(libraries[0] for _, libraries, _ in pairs),
        ratio=statistics.median(app[0] / libraries[0] for app, libraries, _ in pairs),
        module_ratio=statistics.median(app[0] / modules[0] for app, _, modules in pairs),
        resident_mb=statistics.median(app[1] for app, _, _ in pairs),
        library_resident_mb=statistics.median(libraries[1] for _, libraries, _ in pairs),
    )


def _once(imports: str, compiled: str) -> tuple[float, float]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    told = subprocess.run(
        [sys.executable, "-c", _MEASURE.format(imports=imports)],
        cwd=PROJECT,
        env={**kept, "PYTHONPYCACHEPREFIX": compiled},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    seconds, resident = json.loads(told)
    return seconds, resident
