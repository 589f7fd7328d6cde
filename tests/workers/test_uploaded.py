"""What S3 sends to the function `uploaded`, and what becomes of it."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.gateways.errors import Unavailable
from chalicelib.services import files
from chalicelib.workers import uploaded
from chalicelib.workers.invocations import InvocationFailed, UploadEvent

CONTEXT = SimpleNamespace(aws_request_id="req-1", memory_limit_in_mb="1024", get_remaining_time_in_millis=lambda: 1000)


def an_event(*keys: str) -> UploadEvent:
    return {"Records": [{"eventName": "ObjectCreated:Post", "s3": {"object": {"key": key}}} for key in keys]}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that the service was told of."""
    keys: list[str] = []
    monkeypatch.setattr(files, "uploaded", lambda key, **_: keys.append(key))
    return keys


def test_each_object_of_an_event_is_told_under_its_own_key(told: list[str]) -> None:
    uploaded.handle(an_event("uploads/p/file_1", "uploads/p/a+b%2B%C3%A4"), CONTEXT)
    assert told == ["uploads/p/file_1", "uploads/p/a b+ä"]


def test_the_event_by_which_s3_tries_the_function_asks_for_nothing(told: list[str]) -> None:
    trial: Any = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}
    uploaded.handle(trial, CONTEXT)
    assert told == []


def test_a_bucket_that_does_not_answer_has_lambda_try_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unavailable(_: str, **__: object) -> None:
        raise Unavailable("bucket b: SlowDown")

    monkeypatch.setattr(files, "uploaded", unavailable)
    with caplog.at_level(logging.ERROR, "stepwell"), pytest.raises(InvocationFailed, match="Unavailable"):
        uploaded.handle(an_event("uploads/p/f"), CONTEXT)
    assert [record.name for record in caplog.records] == ["stepwell"]
