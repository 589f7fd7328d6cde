"""The sizes that sandboxes come in on Fargate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_GB: Final = 1024

#: The memory in MB that goes with each number of CPU units; 1,024 units are one vCPU. From the page "Amazon ECS task
#: definition parameters for Fargate", "Task size".
SIZES: Final[Mapping[int, tuple[int, ...]]] = MappingProxyType(
    {
        256: (_GB // 2, _GB, 2 * _GB),
        512: tuple(range(_GB, 4 * _GB + 1, _GB)),
        1024: tuple(range(2 * _GB, 8 * _GB + 1, _GB)),
        2048: tuple(range(4 * _GB, 16 * _GB + 1, _GB)),
        4096: tuple(range(8 * _GB, 30 * _GB + 1, _GB)),
        8192: tuple(range(16 * _GB, 60 * _GB + 1, 4 * _GB)),
        16384: tuple(range(32 * _GB, 120 * _GB + 1, 8 * _GB)),
    },
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much of a machine a sandbox has."""

    #: 1,024 are one vCPU.
    cpu_units: int
    memory_mb: int


def size_for(cpu_count: float, memory_mb: int) -> Size:
    """Return the smallest size with at least so many vCPUs and so much memory; ``ValueError`` where there is none."""
    for cpu_units, memories in SIZES.items():
        enough = next((memory for memory in memories if memory >= memory_mb), None)
        if cpu_units >= cpu_count * 1024 and enough is not None:
            return Size(cpu_units=cpu_units, memory_mb=enough)
    message = f"there is no sandbox of {cpu_count:g} vCPUs and {memory_mb} MB: the largest has 16 and 122880 MB"
    raise ValueError(message)
