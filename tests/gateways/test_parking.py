"""The place where runs wait: Step Functions as moto plays it, and the fake, alike."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterator, Mapping

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_dynamodb import DynamoDBClient
from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

from chalicelib.gateways import clients
from chalicelib.gateways.errors import Unavailable
from chalicelib.gateways.parking import (
    LONGEST_PARK_SECONDS,
    FakeParking,
    Parking,
    StepFunctionsParking,
    held_seconds,
)
from chalicelib.settings import Settings

#: The first state of infra/park.asl.json, without its conditions: the token is written where the test can read it.
WAIT = {
    "StartAt": "Wait",
    "States": {
        "Wait": {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken",
            "Parameters": {
                "TableName": "runs",
                "Key": {"pk": {"S.$": "$.pk"}},
                "UpdateExpression": "SET park_token = :token",
                "ExpressionAttributeValues": {":token": {"S.$": "$$.Task.Token"}},
            },
            "TimeoutSecondsPath": "$.timeout_seconds",
            "End": True,
        }
    },
}


@pytest.fixture
def real_parking(aws_environment: None) -> Iterator[StepFunctionsParking]:
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        a_dynamodb().create_table(
            TableName="runs",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        made = clients.step_functions().create_state_machine(
            name="park", definition=json.dumps(WAIT), roleArn="arn:aws:iam::123456789012:role/park"
        )
        parking = StepFunctionsParking.of(Settings(park_state_machine_arn=made["stateMachineArn"]))
        yield parking
        for execution in executions_of(parking):  # else moto's interpreter would wait on
            eventually(functools.partial(stopped, execution))


def a_dynamodb() -> DynamoDBClient:
    made: DynamoDBClient = boto3.client("dynamodb", region_name="eu-west-1")
    return made


def executions_of(parking: StepFunctionsParking) -> list[str]:
    listed = clients.step_functions().list_executions(stateMachineArn=parking.state_machine_arn)
    return [execution["executionArn"] for execution in listed["executions"]]


def stopped(execution: str) -> bool:
    try:
        clients.step_functions().stop_execution(executionArn=execution)
    except AttributeError:  # moto's, while the execution's thread is only starting
        return False
    return True


def eventually(happened: Callable[[], object]) -> None:
    for _ in range(1000):
        if happened():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never happened")


def the_item() -> Mapping[str, AttributeValueTypeDef]:
    return a_dynamodb().get_item(TableName="runs", Key={"pk": {"S": "RUN#run_1"}}).get("Item", {})


def the_token() -> str:
    """Return the token that the execution writes into the run's item, once it has."""
    eventually(lambda: "park_token" in the_item())
    return the_item()["park_token"]["S"]


@pytest.fixture(params=["real_parking", FakeParking])
def parking(request: pytest.FixtureRequest) -> Parking:
    if request.param is FakeParking:
        return FakeParking()
    made = request.getfixturevalue("real_parking")
    assert isinstance(made, StepFunctionsParking)
    return made


def park(parking: Parking, *, wake_seq: int = 7, lease_seq: int = 3, timeout_seconds: float = 60) -> str:
    return parking.park(
        run_id="run_1", pk="RUN#run_1", wake_seq=wake_seq, lease_seq=lease_seq, timeout_seconds=timeout_seconds
    )


def test_an_execution_is_named_after_the_run_its_wakes_and_its_lease(parking: Parking) -> None:
    assert park(parking) == "run_1-7-3"
    assert park(parking, lease_seq=4) == "run_1-7-4"


def test_parking_twice_under_one_lease_is_parking_once(parking: Parking) -> None:
    assert park(parking) == park(parking, timeout_seconds=59)


def test_a_token_that_nobody_waits_with_wakes_nobody(parking: Parking) -> None:
    assert parking.answer("no such token") is False


def test_parking_that_is_there_passes_the_check(parking: Parking) -> None:
    parking.check()


def test_the_execution_is_told_what_its_states_need(real_parking: StepFunctionsParking) -> None:
    park(real_parking, timeout_seconds=86_400)
    park(real_parking, timeout_seconds=86_400)
    (execution,) = executions_of(real_parking)
    found = clients.step_functions().describe_execution(executionArn=execution)
    assert json.loads(found["input"]) == {
        "run_id": "run_1",
        "pk": "RUN#run_1",
        "wake_seq": "7",
        "lease_seq": "3",
        "timeout_seconds": 86_400,
    }


@pytest.mark.parametrize(
    ("asked", "held"),
    [(-5, 1), (0, 1), (0.2, 1), (1, 1), (1.0001, 2), (60, 60), (10**9, LONGEST_PARK_SECONDS)],
)
def test_a_wait_is_whole_seconds_and_ends_before_the_execution_must(asked: float, held: int) -> None:
    assert held_seconds(asked) == held
    assert held_seconds(asked) < 365 * 86_400


def test_a_token_wakes_once(real_parking: StepFunctionsParking) -> None:
    park(real_parking)
    token = the_token()
    assert real_parking.answer(token) is True
    (execution,) = executions_of(real_parking)
    eventually(lambda: clients.step_functions().describe_execution(executionArn=execution)["status"] == "SUCCEEDED")
    assert real_parking.answer(token) is False


def test_the_fakes_token_wakes_once() -> None:
    parking = FakeParking()
    name = park(parking, timeout_seconds=0.5)
    assert parking.parked[name].timeout_seconds == 1
    assert parking.answer(f"token of {name}") is True
    assert parking.answer(f"token of {name}") is False


def test_a_state_machine_that_is_not_there_is_unavailable(aws: None) -> None:
    parking = StepFunctionsParking(state_machine_arn="arn:aws:states:eu-west-1:123456789012:stateMachine:nowhere")
    with pytest.raises(Unavailable, match="StateMachineDoesNotExist"):
        parking.check()
    with pytest.raises(Unavailable, match="StateMachineDoesNotExist"):
        park(parking)


def test_an_undeployed_state_machine_is_unavailable_not_a_crash(aws: None) -> None:
    with pytest.raises(Unavailable):
        StepFunctionsParking.of(Settings()).check()
