"""`python -m infra deploy STAGE=…`: loads an operators' tool and calls its ``main``.

Loading takes a second, and the tool cannot tell of a Ctrl-C before it is there; this can.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module


def main(words: Sequence[str]) -> int:
    """Return the exit code of the tool that the first word names."""
    tool = f"infra.{words[0]}"
    try:
        return int(import_module(tool).main(words[1:]))
    except KeyboardInterrupt:
        print(f"{tool}: stopped before it began", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
