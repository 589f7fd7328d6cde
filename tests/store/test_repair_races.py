"""Repairs, tickets, slugs and last places at once, from many threads: one wins, and the numbers are right after."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import StepStatus
from chalicelib.domain.ticket import TicketKind, TicketStatus
from chalicelib.store import history, idempotency, runs, tickets, workflows
from chalicelib.store.errors import Exists, Full, Superseded
from tests.store.builders import (
    CHECK_AT,
    NOW,
    a_deployment,
    a_driven_run,
    a_history_record,
    a_record,
    a_run,
    a_stored_run,
    a_ticket,
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


@pytest.mark.parametrize("round_", ROUNDS)
def test_of_many_starts_one_has_the_last_place(round_: int) -> None:
    started = [a_run(workflow_id=f"wf-last-{round_}", counted=True) for _ in range(6)]
    runs.put(started[0], most_concurrent=2)
    outcomes = at_once(*(lambda run=run: runs.put(run, most_concurrent=2) for run in started[1:]))
    assert Counter(outcomes) == {"done": 1, Full.__name__: 4}
    assert workflows.active_runs(f"wf-last-{round_}") == 2
    assert [runs.load(run.id) is not None for run in started[1:]] == [outcome == "done" for outcome in outcomes]


@pytest.mark.parametrize("round_", ROUNDS)
def test_starts_and_ends_at_once_are_counted_right(round_: int) -> None:
    workflow_id = f"wf-count-{round_}"
    driven = []
    for _ in range(3):
        run = a_run(workflow_id=workflow_id, counted=True)
        runs.put(run, most_concurrent=9)
        driven.append(taken(run))
    fresh = [a_run(workflow_id=workflow_id, counted=True) for _ in range(3)]
    outcomes = at_once(
        *(lambda run=run: runs.finish(ended(run), owner="request-1", parent_event=None) for run in driven),
        *(lambda run=run: runs.put(run, most_concurrent=9) for run in fresh),
    )
    assert set(outcomes) == {"done"}
    assert workflows.active_runs(workflow_id) == 3


@pytest.mark.parametrize("round_", ROUNDS)
def test_of_a_cancel_and_the_end_at_once_one_gives_the_place_back(round_: int) -> None:
    run = a_run(workflow_id=f"wf-end-{round_}", counted=True)
    runs.put(run, most_concurrent=1)
    driven = taken(run)
    canceled = ended(driven, RunStatus.CANCELED)
    outcomes = at_once(
        lambda: runs.change(driven, canceled, history=a_history_record(run), answer_token=False),
        lambda: runs.finish(ended(driven), owner="request-1", parent_event=None),
    )
    assert sorted(outcomes) == ["Superseded", "done"]
    assert workflows.active_runs(run.workflow_id) == 0


@pytest.mark.parametrize("round_", ROUNDS)
def test_of_many_repairs_judged_on_one_state_one_is_recorded(round_: int) -> None:
    run = a_stored_run()

    def repair(place: int) -> None:
        record = a_record(f"s{place}", status=StepStatus.SKIPPED)
        runs.repair(run, run, history=a_history_record(run), record=record, write_id=str(place), answer_token=False)

    outcomes = at_once(*(lambda place=place: repair(place) for place in range(5)))
    assert Counter(outcomes) == {"done": 1, Superseded.__name__: 4}
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert set(loaded.records) == {f"s{outcomes.index('done')}"}
    assert loaded.run.wake_seq == 1
    assert len(history.page(run.id, cursor=None, limit=9).items) == 1


@pytest.mark.parametrize("round_", ROUNDS)
def test_of_a_repair_and_the_steps_own_result_at_once_one_is_kept(round_: int) -> None:
    run = a_driven_run()
    forced = a_record(output="forced")

    def repair() -> None:
        runs.repair(run, run, history=a_history_record(run), record=forced, write_id="1", answer_token=False)

    repaired, result = at_once(repair, lambda: runs.put_step(run.id, a_record(output="own"), write_id="2"))
    assert sorted((repaired, result)) == ["Superseded", "done"]
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert loaded.records["charge"].output == ("forced" if repaired == "done" else "own")
    assert loaded.run.wake_seq == (1 if repaired == "done" else 0)


@pytest.mark.parametrize("round_", ROUNDS)
def test_of_a_repair_and_a_lease_at_once_the_driver_is_never_passed_by(round_: int) -> None:
    run = a_stored_run()
    outcomes = at_once(
        lambda: runs.repair(run, run, history=a_history_record(run), answer_token=False),
        lambda: taken(run),
    )
    assert sorted(outcomes) == ["Superseded", "done"]


@pytest.mark.parametrize("round_", ROUNDS)
def test_of_two_holds_at_once_one_holds(round_: int) -> None:
    run = a_driven_run()
    outcomes = at_once(*(lambda place=place: runs.hold(run, later(place)) for place in range(4)))
    assert Counter(outcomes) == {"done": 1, Superseded.__name__: 3}
    found = runs.load(run.id)
    assert found is not None
    assert found.hold_until == later(outcomes.index("done"))


@pytest.mark.parametrize("kind", list(TicketKind))
@pytest.mark.parametrize("round_", ROUNDS)
def test_of_many_claims_of_a_ticket_one_is_kept(round_: int, kind: TicketKind) -> None:
    ticket = a_ticket(kind)
    tickets.create(ticket)
    holders = [f"worker {place}" for place in range(5)]
    outcomes = at_once(
        *(lambda holder=holder: tickets.save(replace(ticket, holder=holder, revision=2)) for holder in holders),
    )
    assert Counter(outcomes) == {"done": 1, Superseded.__name__: 4}
    (found,) = tickets.load_many([ticket.id]) or tickets.of_events("proj_1", [(str(ticket.name), ticket.id)])
    assert found.holder == holders[outcomes.index("done")]


def test_a_ticket_made_twice_at_once_is_there_once() -> None:
    ticket = a_ticket(TicketKind.JOB)
    assert set(at_once(*(lambda: tickets.create(ticket) for _ in range(5)))) == {"done"}
    assert tickets.load(ticket.id) == ticket


@pytest.mark.parametrize("round_", ROUNDS)
def test_of_two_reports_at_once_one_is_told(round_: int) -> None:
    run, ticket = a_stored_run(), a_ticket(TicketKind.JOB)
    tickets.create(ticket)
    outcomes = at_once(
        *(
            lambda status=status: tickets.deliver(
                replace(ticket, status=status, closed_at=later(9), revision=2),
                an_event(status.value),
                run,
                answer_token=False,
                next_check_at=CHECK_AT,
            )
            for status in (TicketStatus.DONE, TicketStatus.FAILED)
        ),
    )
    assert sorted(outcomes) == ["Superseded", "done"]
    loaded, found = runs.load_collection(run.id), tickets.load(ticket.id)
    assert loaded is not None
    assert found is not None
    assert [event.id for event in loaded.events] == [found.status.value]


@pytest.mark.parametrize("round_", ROUNDS)
def test_a_report_and_the_runs_end_at_once_never_close_a_ticket_that_is_not_told(round_: int) -> None:
    run, ticket = a_driven_run(), a_ticket(TicketKind.JOB)
    tickets.create(ticket)
    over = replace(ticket, status=TicketStatus.DONE, closed_at=later(9), revision=2)
    report, end = at_once(
        lambda: tickets.deliver(over, an_event(), run, answer_token=False, next_check_at=CHECK_AT),
        lambda: runs.finish(ended(run), owner="request-1", parent_event=None),
    )
    assert sorted((report, end)) == ["Superseded", "done"]
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert (len(loaded.events), loaded.run.status.ended) == ((1, False) if report == "done" else (0, True))
    assert tickets.load(ticket.id) == (over if report == "done" else ticket)


@pytest.mark.parametrize("round_", ROUNDS)
def test_of_many_workflows_one_has_the_slug(round_: int) -> None:
    made = [a_workflow(slug=f"wanted-{round_}") for _ in range(4)]
    outcomes = at_once(*(lambda one=one: workflows.create(one) for one in made))
    assert Counter(outcomes) == {"done": 1, Exists.__name__: 3}
    found = workflows.find_by_slug("proj_1", f"wanted-{round_}")
    assert found == made[outcomes.index("done")]
    assert [workflows.load(one.id) is not None for one in made] == [outcome == "done" for outcome in outcomes]


@pytest.mark.parametrize("round_", ROUNDS)
def test_of_two_changes_at_once_one_is_published(round_: int) -> None:
    before = a_workflow(slug=f"changed-{round_}")
    workflows.create(before)
    names = ["ann's", "bob's"]

    def publish(name: str) -> None:
        after = replace(before, name=name, slug=f"{name}-{round_}", current_version=1, revision=2)
        version = a_version(after, deployed=True)
        workflows.publish(after, version, a_deployment(version), before=before, replaces=None)

    outcomes = at_once(*(lambda name=name: publish(name) for name in names))
    assert sorted(outcomes) == ["Superseded", "done"]
    found = workflows.load(before.id)
    assert found is not None
    assert found.name == names[outcomes.index("done")]
    slugs = [f"{name}-{round_}" for name in names] + [f"changed-{round_}"]
    assert [slug for slug in slugs if workflows.find_by_slug("proj_1", slug)] == [found.slug]


@pytest.mark.parametrize("round_", ROUNDS)
def test_of_many_takers_of_a_lost_idempotency_key_one_has_it(round_: int) -> None:
    lost = IdempotencyRecord(
        scope="post",
        key=f"lost {round_}",
        project_id="proj_1",
        request_digest="d",
        created_at=NOW,
        expires_at=later(9999),
    )
    idempotency.put(lost)
    again = replace(lost, created_at=later(60))
    outcomes = at_once(*(lambda: idempotency.take_over(again, before=lost) for _ in range(4)))
    assert Counter(outcomes) == {"done": 1, Superseded.__name__: 3}
