"""An invocation that fails says so to Lambda, and tells nobody what users sent."""

from __future__ import annotations

import logging
import traceback
from types import SimpleNamespace

import pytest

from chalicelib.workers.invocations import InvocationFailed, invoked

CONTEXT = SimpleNamespace(aws_request_id="req-1", memory_limit_in_mb="1024", get_remaining_time_in_millis=lambda: 1000)


def test_a_failure_gets_out_without_its_message_or_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.ERROR, "stepwell"),
        pytest.raises(InvocationFailed) as failed,
        invoked(CONTEXT, run_id="r1"),
    ):
        raise ValueError("the order of ada@example.com")
    assert str(failed.value) == "ValueError"
    assert "ada@example.com" not in "".join(traceback.format_exception(failed.value))
    [line] = [record for record in caplog.records if record.name == "stepwell"]
    assert "ada@example.com" not in repr(vars(line))
    assert "ValueError" in repr(vars(line))


def test_an_invocation_that_succeeds_raises_nothing() -> None:
    with invoked(CONTEXT, run_id="r1"):
        pass
