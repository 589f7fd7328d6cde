"""What the tests of several gateways share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.gateways.http import HttpGateway
from chalicelib.gateways.wire import Switchboard
from tests.gateways.asking import LOOPBACK


@pytest.fixture
def gateway() -> Iterator[HttpGateway]:
    """An HTTP gateway that may reach the loopback."""
    switchboard = Switchboard(allow=LOOPBACK)
    yield HttpGateway(switchboard=switchboard)
    switchboard.close()
