"""What the services' tests share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from chalicelib.gateways.payloads import FakePayloadStore
from chalicelib.services import outside


@pytest.fixture
def payloads() -> Iterator[FakePayloadStore]:
    """Large values in memory."""
    memory = FakePayloadStore()
    with outside.replaced(replace(outside.current(), payloads=memory)):
        yield memory
