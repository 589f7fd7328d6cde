"""What an attempt uses in a thread of its own counts for the invocation that makes it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib import metering
from chalicelib.domain.definition import StepType
from chalicelib.domain.outcome import Completed, Outcome
from chalicelib.domain.usage import Units
from chalicelib.services import attempts
from chalicelib.services.clock import SystemClock
from tests.domain.building import a_step
from tests.store.builders import a_claim, a_run


def test_an_attempt_made_beside_others_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def attempt(*_: object, **__: object) -> Outcome:
        metering.add(Units(s3_writes=1))
        return Completed(output=None)

    monkeypatch.setattr(attempts, "attempt", attempt)
    step = SimpleNamespace(spec=a_step("charge", StepType.HTTP_REQUEST))
    progress: Any = SimpleNamespace(node=lambda _key: step, scope=lambda _key: None)
    outside: Any = None
    with metering.measured(memory_mb=512) as meter, attempts.attempts(clock=SystemClock(), outside=outside) as made:
        made.start(a_run(), progress, a_claim())
        assert made.next_ended(seconds=10) is not None
    assert meter.total().s3_writes == 1
