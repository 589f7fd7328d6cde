"""Failed conditions, conflicts and lost answers, each turned into what the caller should do next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from pynamodb.exceptions import CancellationReason, VerboseClientError

from chalicelib.store import transactions
from chalicelib.store.errors import Busy, Exists, Rejected, StoreError, Superseded, Unavailable, translated
from chalicelib.store.transactions import Write

CALLS = [
    ("ConditionalCheckFailedException", Superseded),
    ("TransactionConflictException", Busy),
    ("TransactionInProgressException", Busy),
    ("ProvisionedThroughputExceededException", Unavailable),
    ("ThrottlingException", Unavailable),
    ("RequestLimitExceeded", Unavailable),
    ("InternalServerError", Unavailable),
    ("ServiceUnavailable", Unavailable),
    ("ValidationException", Rejected),
    ("AccessDeniedException", Rejected),
    ("ResourceNotFoundException", Rejected),
]
FAILED, CONFLICT, FINE, TOO_LARGE, THROTTLED = (
    "ConditionalCheckFailed",
    "TransactionConflict",
    "None",
    "ValidationError",
    "ThrottlingError",
)
#: The reasons for the writes a (an update) and b (a creation), what is raised, and which part it names.
CANCELLATIONS = [
    ((FAILED, FINE), Superseded, "a"),
    ((FINE, FAILED), Exists, "b"),
    ((FAILED, FAILED), Superseded, "a"),
    ((CONFLICT, FAILED), Exists, "b"),
    ((CONFLICT, FINE), Busy, "a"),
    ((FINE, CONFLICT), Busy, "b"),
    ((FINE, THROTTLED), Unavailable, "b"),
    ((TOO_LARGE, FINE), Rejected, ""),
]


def an_error(code: str, *reasons: str) -> VerboseClientError:
    found = [CancellationReason(code=reason) if reason != FINE else None for reason in reasons]
    return VerboseClientError({"Error": {"Code": code, "Message": "secret"}}, "Call", {}, cancellation_reasons=found)


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Exception | None]], list[str]]:
    """Have DynamoDB answer with these errors, one after the other; what is asked is returned as it grows."""
    asked: list[str] = []
    monkeypatch.setattr("chalicelib.store.transactions.time.sleep", lambda _: None)

    def answer(errors: list[Exception | None]) -> list[str]:
        def dispatch(operation: str, arguments: dict[str, Any]) -> None:
            asked.append(operation)
            error = errors.pop(0)
            if error is not None:
                raise error

        monkeypatch.setattr(transactions, "dispatch", dispatch)
        return asked

    return answer


def a_write(part: str, otherwise: type[StoreError] = Superseded) -> Write:
    return Write(operation="Update", arguments={}, otherwise=otherwise, part=part)


@pytest.mark.parametrize(("code", "expected"), CALLS)
def test_each_code_of_dynamodb_has_one_meaning(code: str, expected: type[StoreError]) -> None:
    error = translated(ClientError({"Error": {"Code": code, "Message": "secret"}}, "PutItem"))
    assert type(error) is expected
    assert code in str(error)


def test_a_server_in_trouble_is_unavailable_whatever_it_says() -> None:
    told = ClientError({"Error": {"Code": "502"}, "ResponseMetadata": {"HTTPStatusCode": 502}}, "Call")  # type: ignore[typeddict-item] # what is read
    assert type(translated(told)) is Unavailable


def test_no_message_of_dynamodb_is_repeated() -> None:
    assert "secret" not in str(translated(an_error("ValidationException")))


def test_an_answer_that_never_came_is_unavailable() -> None:
    assert type(translated(ReadTimeoutError(endpoint_url="http://127.0.0.1"))) is Unavailable


@pytest.mark.parametrize(("reasons", "expected", "part"), CANCELLATIONS)
def test_a_canceled_transaction_says_what_and_why(
    answered: Callable[[list[Exception | None]], list[str]],
    reasons: tuple[str, ...],
    expected: type[StoreError],
    part: str,
) -> None:
    answered([an_error("TransactionCanceledException", *reasons)] * 9)
    with pytest.raises(expected) as raised:
        transactions.commit(a_write("a"), a_write("b", Exists))
    assert type(raised.value) is expected
    assert raised.value.part == part


def test_a_single_write_that_is_declined_says_its_part(
    answered: Callable[[list[Exception | None]], list[str]],
) -> None:
    answered([an_error("ConditionalCheckFailedException")])
    with pytest.raises(Exists) as raised:
        transactions.make(a_write("run", Exists))
    assert raised.value.part == "run"


def test_a_write_that_met_another_transaction_is_tried_again(
    answered: Callable[[list[Exception | None]], list[str]],
) -> None:
    asked = answered([an_error("TransactionConflictException"), an_error("TransactionConflictException"), None])
    transactions.make(a_write("run"))
    assert asked == ["UpdateItem"] * 3


def test_a_transaction_that_keeps_meeting_others_is_busy_in_the_end(
    answered: Callable[[list[Exception | None]], list[str]],
) -> None:
    asked = answered([an_error("TransactionCanceledException", CONFLICT)] * 20)
    with pytest.raises(Busy):
        transactions.commit(a_write("run"))
    assert 3 < len(asked) < 10


@pytest.mark.parametrize("code", ["ConditionalCheckFailedException", "ThrottlingException", "ValidationException"])
def test_nothing_else_is_tried_again(answered: Callable[[list[Exception | None]], list[str]], code: str) -> None:
    asked = answered([an_error(code), None])
    with pytest.raises(StoreError):
        transactions.make(a_write("run"))
    assert len(asked) == 1


def test_an_earlier_try_is_not_looked_for_where_nothing_lies() -> None:
    assert transactions._stored(Superseded("the condition does not hold")) is None
