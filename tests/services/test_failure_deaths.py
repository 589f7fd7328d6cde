"""Functions that die: in a step, out of time, in a batch, in a sweep; and the secret that all keys are hashed with."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib import settings
from chalicelib.domain.definition import Definition
from chalicelib.domain.refusal import NotFound, Unauthenticated
from chalicelib.domain.run import RunStatus
from chalicelib.domain.workflow import WorkflowKind
from chalicelib.services import agent_tokens, authentication, deployments, keys, versions
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.house import Crash, House, a_call, a_house, a_line
from tests.services.library import ALICE, NOW, PROJECT, a_graph, a_project, a_workflow

MINUTE = timedelta(minutes=1)


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house(table, monkeypatch)


def a_fan_of(count: int) -> Definition:
    """Return a step and many that ask the world outside once it has completed."""
    steps = [a_step("first", config={"value": 0}), *(a_call(f"s{index}") for index in range(count))]
    return a_definition(steps, *(("first", f"s{index}") for index in range(count)))


def test_a_step_that_ended_its_lambda_is_attempted_again_and_no_other_is(house: House) -> None:
    def dies_once(key: str, nth: int) -> int:
        if (key, nth) == ("b", 1):
            raise Crash
        return 200

    house.answers = dies_once
    began = house.clock.now()
    run = house.settle(house.start(a_line(a_call("a"), a_call("b"), a_call("c"))))
    assert run.status is RunStatus.COMPLETED
    # Lambda's retry takes the lease straight back: it waits for nobody's time to be over.
    assert house.clock.now() == began
    assert house.deaths == 1
    assert {key: record.attempt for key, record in house.records(run.id).items()} == {"a": 1, "b": 2, "c": 1}
    sent = [request.headers["Idempotency-Key"] for request in house.http.sent]
    assert sent[1] == sent[2]


def test_a_step_that_ends_its_lambda_each_time_fails_by_name_after_three(house: House) -> None:
    def dies(key: str, _nth: int) -> int:
        if key == "b":
            raise Crash
        return 200

    house.answers = dies
    run = house.settle(house.start(a_line(a_call("a"), a_call("b", retries=5), a_call("c"))))
    assert run.error is not None
    assert (run.status, run.error.code, run.error.step) == (RunStatus.FAILED, "lost", "b")
    assert house.sent == {"a": 1, "b": 3}


def test_a_driver_whose_time_runs_short_hands_the_run_on_between_steps(house: House) -> None:
    def five_minutes(_key: str, _nth: int) -> int:
        house.clock.sleep(300)
        return 200

    house.answers = five_minutes
    run_id = house.start(a_line(*(a_call(f"s{index}") for index in range(5))))
    began = house.clock.now()
    house.drain()
    run = house.run(run_id)
    assert run.status is RunStatus.COMPLETED
    assert house.sent == {f"s{index}": 1 for index in range(5)}
    assert (house.deaths, house.clock.now() - began) == (0, 25 * MINUTE)
    # Two steps are started in the first half of an invocation's time.
    assert run.lease_seq == 3


def test_a_step_that_outlives_its_driver_is_attempted_again_by_the_next(house: House) -> None:
    def outlives(key: str, nth: int) -> int:
        if (key, nth) == ("slow", 1):
            house.clock.sleep(901)
            raise Crash
        return 200

    house.answers = outlives
    house.lambda_retries = False
    run = house.settle(house.start(a_line(a_call("slow"), a_call("after"))))
    assert run.status is RunStatus.COMPLETED
    assert {key: record.attempt for key, record in house.records(run.id).items()} == {"slow": 2, "after": 1}
    assert house.sent == {"slow": 2, "after": 1}


def test_the_steps_of_a_batch_that_died_are_attempted_again_once_their_claims_are_over(house: House) -> None:
    def dies_once(key: str, nth: int) -> int:
        if (key, nth) == ("s5", 1):
            raise Crash
        return 200

    house.answers = dies_once
    began = house.clock.now()
    run = house.settle(house.start(a_fan_of(40)))
    assert run.status is RunStatus.COMPLETED
    assert house.deaths == 1
    records = house.records(run.id)
    # A result that was on record is not made again; one that was not may have been sent twice, and is counted twice.
    assert [key for key, times in house.sent.items() if times > records[key].attempt] == []
    assert records["s5"].attempt == 2
    assert house.clock.now() - began <= 17 * MINUTE


def test_a_sweep_that_died_halfway_is_finished_by_the_next(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    left = {house.start(a_line(a_call("ask")), invoked=False) for _ in range(3)}
    house.clock.at += MINUTE
    with monkeypatch.context() as patient:
        drive, told = house.invoker.drive, list[str]()

        def dies_at_the_second(run_id: str) -> None:
            told.append(run_id)
            if len(told) == 2:
                raise Crash
            drive(run_id)

        patient.setattr(house.invoker, "drive", dies_at_the_second)
        with pytest.raises(Crash):
            house.sweep()
    # The next finds what it had not come to, the one after that also what it died at.
    assert house.sweep().overdue == 1
    house.clock.at += MINUTE
    house.sweep()
    house.drain()
    assert {house.run(run_id).status for run_id in left} == {RunStatus.COMPLETED}
    assert house.sent == {"ask": 3}


@pytest.mark.usefixtures("house", "payloads")
def test_under_another_pepper_no_key_opens_anything_and_under_the_old_one_all_do_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = keys.create(a_project(), name="k", scopes=["read"], now=NOW)
    script = a_workflow(kind=WorkflowKind.SCRIPT)
    versions.save(PROJECT, script.id, ir=a_graph(), actor=ALICE, now=NOW)
    url = deployments.deploy(
        PROJECT, script.id, connection_id="conn_default", version_id=None, actor=ALICE, now=NOW
    ).token
    assert url is not None
    agent = agent_tokens.token_of("ticket")
    old = settings.current().key_pepper
    monkeypatch.setenv("STEPWELL_KEY_PEPPER", "another")
    settings.reset()
    with pytest.raises(Unauthenticated):
        authentication.authenticate(f"Bearer {made.text}", now=NOW)
    with pytest.raises(NotFound):
        deployments.by_token(url)
    assert not agent_tokens.is_token_of("ticket", agent)
    monkeypatch.setenv("STEPWELL_KEY_PEPPER", old)
    settings.reset()
    assert authentication.authenticate(f"Bearer {made.text}", now=NOW).project_id == PROJECT
    assert deployments.by_token(url).workflow_id == script.id
    assert agent_tokens.is_token_of("ticket", agent)
