from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.sandbox import SIZES, Size, size_for


@pytest.mark.parametrize(
    ("cpu_count", "memory_mb", "cpu_units", "memory"),
    [
        (0.25, 256, 256, 512),
        (0.25, 512, 256, 512),
        (0.25, 513, 256, 1024),
        (0.25, 2049, 512, 3072),
        (0.3, 512, 512, 1024),
        (1, 2048, 1024, 2048),
        (1, 2049, 1024, 3072),
        (0.25, 8192, 1024, 8192),
        (0.25, 8193, 2048, 9216),
        (4, 4096, 4096, 8192),
        (5, 1, 8192, 16_384),
        (8, 17_000, 8192, 20_480),
        (8, 61_441, 16_384, 65_536),
        (16, 122_880, 16_384, 122_880),
        (0.25, 122_880, 16_384, 122_880),
    ],
)
def test_a_sandbox_is_the_smallest_that_has_enough_of_both(
    cpu_count: float, memory_mb: int, cpu_units: int, memory: int
) -> None:
    assert size_for(cpu_count, memory_mb) == Size(cpu_units=cpu_units, memory_mb=memory)


@pytest.mark.parametrize(("cpu_count", "memory_mb"), [(16.1, 512), (1, 122_881), (17, 130_000)])
def test_what_no_sandbox_has_is_refused(cpu_count: float, memory_mb: int) -> None:
    with pytest.raises(ValueError, match="the largest has 16 and 122880 MB"):
        size_for(cpu_count, memory_mb)


@given(st.floats(0.25, 16), st.integers(256, 122_880))
def test_whatever_a_step_may_ask_for_there_is_and_no_smaller_one_would_do(cpu_count: float, memory_mb: int) -> None:
    size = size_for(cpu_count, memory_mb)
    every = [Size(cpu_units=units, memory_mb=memory) for units, memories in SIZES.items() for memory in memories]
    enough = [one for one in every if one.cpu_units >= cpu_count * 1024 and one.memory_mb >= memory_mb]
    assert size == min(enough, key=lambda one: (one.cpu_units, one.memory_mb))
