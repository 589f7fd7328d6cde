from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from infra.local.functions import Context, Function, Functions, InvocationType, UnknownFunction


@pytest.fixture
def functions() -> Iterator[Functions]:
    running = Functions(retry_delays=(0.01, 0.02), threads=8)
    yield running
    running.close()


def test_a_started_function_runs_once_and_is_logged(functions: Functions) -> None:
    functions.register(Function(name="echo", handler=lambda event, _: event))

    request_id = functions.start("echo", '{"a": 1}')

    assert functions.wait(5)
    [invocation] = functions.log
    assert (invocation.function, invocation.payload, invocation.type) == ("echo", {"a": 1}, InvocationType.EVENT)
    assert (invocation.request_id, invocation.attempt, invocation.error) == (request_id, 1, None)


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (1, 2), (2, 3)])
def test_a_started_function_that_raises_is_retried_with_the_same_request_id(
    functions: Functions, retries: int, attempts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []

    def fail(_event: object, context: Context) -> None:
        seen.append(context.aws_request_id)
        raise ValueError("no")

    functions.register(Function(name="fail", handler=fail, retries=retries))

    request_id = functions.start("fail", "{}")

    assert functions.wait(5)
    assert seen == [request_id] * attempts
    assert [(each.attempt, each.error) for each in functions.log] == [(n + 1, "ValueError") for n in range(attempts)]
    assert "ValueError: no" in capsys.readouterr().err


def test_a_retry_that_succeeds_is_the_last(functions: Functions) -> None:
    failures = iter([True, False])

    def sometimes(_event: object, _context: Context) -> None:
        if next(failures):
            raise RuntimeError

    functions.register(Function(name="sometimes", handler=sometimes))
    functions.start("sometimes", "{}")

    assert functions.wait(5)
    assert [each.error for each in functions.log] == ["RuntimeError", None]


def test_a_handler_that_ends_its_process_only_ends_its_invocation(functions: Functions) -> None:
    def leave(_event: object, _context: Context) -> None:
        raise SystemExit(1)

    functions.register(Function(name="leave", handler=leave, retries=0))
    functions.register(Function(name="echo", handler=lambda event, _: event))
    for _ in range(20):
        functions.start("leave", "{}")
    functions.start("echo", "{}")

    assert functions.wait(5)
    assert sum(each.error == "SystemExit" for each in functions.log) == 20
    assert not functions.call("echo", "{}").failed


def test_a_call_answers_what_was_returned(functions: Functions) -> None:
    functions.register(Function(name="double", handler=lambda event, _: event["n"] * 2))

    assert json.loads(functions.call("double", '{"n": 21}').body) == 42


@pytest.mark.parametrize("result", [object(), {1, 2}])
def test_a_call_that_raises_or_returns_no_json_answers_lambdas_error_document(
    functions: Functions, result: object
) -> None:
    functions.register(Function(name="odd", handler=lambda _event, _: result))

    answer = functions.call("odd", "{}")

    assert answer.failed
    assert json.loads(answer.body)["errorType"] == "TypeError"


def test_the_context_counts_down_to_the_timeout(functions: Functions) -> None:
    functions.register(
        Function(name="left", handler=lambda _event, context: context.get_remaining_time_in_millis(), timeout_seconds=7)
    )

    assert 6_000 < json.loads(functions.call("left", "{}").body) <= 7_000


@pytest.mark.parametrize(
    "name", ["echo", "arn:aws:lambda:us-east-1:123456789012:function:echo", "arn:aws:lambda:x:1:function:echo:live"]
)
def test_a_function_is_found_by_name_and_by_arn(functions: Functions, name: str) -> None:
    functions.register(Function(name="echo", handler=lambda event, _: event))

    assert functions.find(name).name == "echo"


def test_an_unknown_function_is_refused(functions: Functions) -> None:
    with pytest.raises(UnknownFunction):
        functions.start("nobody", "{}")


def test_what_runs_is_waited_for(functions: Functions) -> None:
    go = threading.Event()
    functions.register(Function(name="wait", handler=lambda _event, _: go.wait(5)))
    functions.start("wait", "{}")

    assert functions.busy
    assert not functions.wait(0.05)
    go.set()
    assert functions.wait(5)
    assert not functions.busy


def test_many_run_at_once_and_no_more_than_there_are_threads(functions: Functions) -> None:
    running = threading.Semaphore(0)
    go = threading.Event()

    def wait(_event: object, _context: Context) -> None:
        running.release()
        go.wait(5)

    functions.register(Function(name="wait", handler=wait))
    for _ in range(20):
        functions.start("wait", "{}")

    assert all(running.acquire(timeout=5) for _ in range(8))
    assert not running.acquire(timeout=0.05)
    go.set()
    assert functions.wait(5)
    assert len(functions.log) == 20


def test_a_watcher_takes_no_ones_turn(functions: Functions) -> None:
    functions.register(Function(name="echo", handler=lambda event, _: event))
    watchers = [threading.Thread(target=functions.wait_for_change, args=[5]) for _ in range(8)]
    for watcher in watchers:
        watcher.start()

    functions.start("echo", "{}")

    assert functions.wait(2)
    for watcher in watchers:
        watcher.join(2)
        assert not watcher.is_alive()


def test_nothing_starts_after_the_close(functions: Functions) -> None:
    functions.register(Function(name="echo", handler=lambda event, _: event))
    functions.close()
    functions.start("echo", "{}")

    assert functions.wait(0.1)
    assert list(functions.log) == []
