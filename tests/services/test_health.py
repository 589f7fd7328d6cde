from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.gateways.errors import Unavailable
from chalicelib.gateways.parking import FakeParking
from chalicelib.gateways.payloads import FakePayloadStore
from chalicelib.services import health, outside
from chalicelib.store import table as store
from chalicelib.store.errors import Rejected


class AwayPayloads(FakePayloadStore):
    def check(self) -> None:
        raise Unavailable("bucket stepwell: AccessDenied")


class AwayParking(FakeParking):
    def check(self) -> None:
        raise Unavailable("park state machine: StateMachineDoesNotExist")


def away() -> None:
    raise Rejected("DynamoDB answered ResourceNotFoundException")


@pytest.mark.parametrize("missing", [None, "table", "bucket", "state_machine"])
def test_each_part_is_told_apart(monkeypatch: pytest.MonkeyPatch, missing: str | None) -> None:
    here = replace(
        outside.current(),
        payloads=AwayPayloads() if missing == "bucket" else FakePayloadStore(),
        parking=AwayParking() if missing == "state_machine" else FakeParking(),
    )
    monkeypatch.setattr(store, "check", away if missing == "table" else lambda: None)
    with outside.replaced(here):
        assert health.check() == {part: part != missing for part in ("table", "bucket", "state_machine")}
