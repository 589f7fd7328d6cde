"""The same things at once, from many threads, on a DynamoDB that locks: one wins, and nothing is lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import WaitKind
from chalicelib.domain.workflow import Workflow, WorkflowVersion
from chalicelib.store import deployments, runs, versions, workflows
from chalicelib.store.errors import Exists, Superseded
from tests.store.builders import (
    CHECK_AT,
    NOW,
    a_deployment,
    a_driven_run,
    a_history_record,
    a_record,
    a_run,
    a_stored_run,
    a_version,
    a_workflow,
    an_event,
    ended,
    later,
    taken,
)
from tests.store.racing import at_once

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]

ROUNDS = range(8)


def stored(run: Run) -> Run:
    found = runs.load(run.id)
    assert found is not None
    return found


@pytest.mark.parametrize("_", ROUNDS)
def test_of_many_drivers_one_takes_the_lease(_: int) -> None:
    run = a_stored_run()
    owners = [f"request-{number}" for number in range(6)]
    outcomes = at_once(*(lambda owner=owner: taken(run, owner) for owner in owners))
    assert Counter(outcomes) == {"done": 1, Superseded.__name__: 5}
    lease = stored(run).lease
    assert lease is not None
    assert lease.owner == owners[outcomes.index("done")]
    assert stored(run).lease_seq == 1


@pytest.mark.parametrize("_", ROUNDS)
def test_of_many_results_of_one_attempt_one_is_kept(_: int) -> None:
    run = a_stored_run()
    outcomes = at_once(
        *(lambda place=place: runs.put_step(run.id, a_record(output=place), write_id=str(place)) for place in range(6)),
    )
    assert Counter(outcomes) == {"done": 1, Superseded.__name__: 5}
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert loaded.records["charge"].output == outcomes.index("done")


@pytest.mark.parametrize("_", ROUNDS)
def test_a_verb_and_a_release_at_once_never_lose_the_wake_up(_: int) -> None:
    run = a_driven_run()
    after = replace(run, status=RunStatus.PAUSED)
    verb, release = at_once(
        lambda: runs.change(run, after, history=a_history_record(run), answer_token=False),
        lambda: runs.release(run, next_check_at=CHECK_AT, waiting_for=[WaitKind.EVENT], claims={}, now=later(4)),
    )
    assert verb == "done"
    assert stored(run).status is RunStatus.PAUSED
    # Either the driver let go before the verb, which then sees a run without one, or it was told to go round again.
    assert (release == "done") == (stored(run).lease is None)


@pytest.mark.parametrize("_", ROUNDS)
def test_of_a_cancel_and_the_end_at_once_one_is_recorded(_: int) -> None:
    run = a_driven_run()
    canceled = ended(run, RunStatus.CANCELED)
    verb, end = at_once(
        lambda: runs.change(run, canceled, history=a_history_record(run), answer_token=False),
        lambda: runs.finish(ended(run), owner="request-1", parent_event=None),
    )
    assert sorted((verb, end)) == ["Superseded", "done"]
    assert stored(run).status is (RunStatus.CANCELED if verb == "done" else RunStatus.COMPLETED)


@pytest.mark.parametrize("_", ROUNDS)
def test_of_two_verbs_judged_on_one_state_one_is_recorded(_: int) -> None:
    run = a_stored_run()
    outcomes = at_once(
        *(
            lambda status=status: runs.change(
                run,
                ended(run, status) if status.ended else replace(run, status=status),
                history=a_history_record(run),
                answer_token=False,
            )
            for status in (RunStatus.PAUSED, RunStatus.CANCELED)
        ),
    )
    assert sorted(outcomes) == ["Superseded", "done"]


def test_many_events_at_once_are_all_kept_and_one_answers_the_token() -> None:
    run = a_stored_run(park_token="token")
    free = replace(run, park_token=None)

    def deliver(place: int) -> None:
        event = an_event(f"{place:04d}")
        try:
            runs.put_event(run, event, answer_token=True)
        except Superseded:
            runs.put_event(free, event, answer_token=False)

    assert set(at_once(*(lambda place=place: deliver(place) for place in range(8)))) == {"done"}
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert (len(loaded.events), loaded.run.wake_seq, loaded.run.park_token) == (8, 8, None)


def test_many_children_that_end_at_once_all_tell_their_parent() -> None:
    parent = a_stored_run()
    children = [a_driven_run(parent_run_id=parent.id, parent_step=f"sub-{place}") for place in range(8)]
    outcomes = at_once(
        *(
            lambda child=child: runs.finish(ended(child), owner="request-1", parent_event=an_event(child.id))
            for child in children
        ),
    )
    assert set(outcomes) == {"done"}
    loaded = runs.load_collection(parent.id)
    assert loaded is not None
    assert {event.id for event in loaded.events} == {child.id for child in children}
    assert loaded.run.wake_seq == 8


@pytest.mark.parametrize("_", ROUNDS)
def test_an_idempotency_key_starts_one_run(_: int) -> None:
    started = [a_run() for _ in range(5)]

    def start(run: Run) -> None:
        record = IdempotencyRecord(
            scope="trigger",
            key=f"key of {started[0].id}",
            project_id="proj_1",
            request_digest="d",
            run_id=run.id,
            created_at=NOW,
            expires_at=later(9),
        )
        runs.put(run, idempotency=record)

    outcomes = at_once(*(lambda run=run: start(run) for run in started))
    assert Counter(outcomes) == {"done": 1, Exists.__name__: 4}
    assert [runs.load(run.id) is not None for run in started] == [outcome == "done" for outcome in outcomes]


@pytest.mark.parametrize("_", ROUNDS)
def test_a_version_is_not_changed_while_it_is_deployed(_: int) -> None:
    workflow = a_workflow(current_version=1, revision=2)
    before = replace(workflow, current_version=0, revision=1)
    workflows.put(before)
    version = a_version(workflow)
    versions.create(version, workflow=workflow)
    deployment = a_deployment(version)
    deployed, overwritten = at_once(
        lambda: deployments.deploy(deployment, version=version, replaces=None),
        lambda: versions.overwrite(changed(version), workflow=replace(workflow, revision=3)),
    )
    assert sorted((deployed, overwritten)) == ["Superseded", "done"]
    found = versions.load(workflow.id, 1)
    assert found is not None
    assert found.deployed == (deployed == "done")
    assert (found.source == version.source) == (deployed == "done")


def changed(version: WorkflowVersion) -> WorkflowVersion:
    return replace(version, source={"ir": "other"}, updated_at=later(99))


@pytest.mark.parametrize("_", ROUNDS)
def test_of_two_versions_made_at_once_one_has_the_number(_: int) -> None:
    workflow: Workflow = a_workflow()
    workflows.put(workflow)
    after = replace(workflow, current_version=1, revision=2)
    outcomes = at_once(
        lambda: versions.create(a_version(workflow), workflow=after),
        lambda: versions.create(a_version(workflow), workflow=after),
    )
    assert sorted(outcomes) == ["Superseded", "done"]
