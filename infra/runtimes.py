"""Which Pythons Lambda runs, as the installed botocore knows, and which one this is."""

from __future__ import annotations

import re
import sys
from typing import Final

from botocore.loaders import Loader

_PYTHON: Final = re.compile(r"python3\.(\d+)")
#: What Stepwell is written for at least.
_OLDEST: Final = 11


def ours() -> str:
    """Return the runtime that this Python deploys: Chalice writes the running one into the template."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def offered() -> list[str]:
    """Return the runtimes of Lambda's that Stepwell can run on, the oldest first. Nobody is asked."""
    names = Loader().load_service_model("lambda", "service-2")["shapes"]["Runtime"]["enum"]
    minors = sorted(int(match[1]) for name in names if (match := _PYTHON.fullmatch(name)))
    return [f"python3.{minor}" for minor in minors if minor >= _OLDEST]
