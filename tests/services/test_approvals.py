"""The approvers' inbox: what waits for a person, and who may decide."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.access import Actor
from chalicelib.domain.refusal import Conflict, ScopeMissing
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import Wait, WaitKind
from chalicelib.domain.ticket import Ticket, TicketStatus
from chalicelib.domain.value import Json
from chalicelib.services import approvals, repairs, verbs
from chalicelib.services.approvals import Approval, ApprovalStatus
from chalicelib.services.repairs import Asked
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.house import House, a_house, a_line
from tests.services.waiting import (
    ADA,
    ASK,
    BOB,
    a_wait_by_key,
    an_approval,
    calls,
    terminate,
    terminate_unheard,
    ticket_of,
    waiting,
)

pytestmark = pytest.mark.store


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house(table, monkeypatch)


def inbox(
    house: House, status: ApprovalStatus = ApprovalStatus.PENDING, *, actor: Actor = ADA, limit: int = 50
) -> list[Approval]:
    found = approvals.page("p", status, actor=actor, now=house.clock.now(), cursor=None, limit=limit)
    return list(found.items)


def tickets(house: House, status: ApprovalStatus = ApprovalStatus.PENDING) -> list[Ticket]:
    return [one.ticket for one in inbox(house, status)]


def decide(house: House, run_id: str, payload: Json, *, actor: Actor = ADA) -> None:
    verbs.deliver(
        "p",
        run_id,
        event_type="approval-ok",
        payload=payload,
        actor=actor,
        now=house.clock.now(),
        outside=house.outside,
    )


def test_an_approval_stands_in_the_inbox_with_what_is_asked(house: House) -> None:
    run_id = waiting(house, a_line(an_approval(message="Ship {{ payload }}?")), payload=7)
    [ticket] = tickets(house)
    assert (ticket.run_id, ticket.step, ticket.note, ticket.approvers) == (run_id, "ok", "Ship 7?", ("ada",))
    assert ticket.expires_at == house.clock.now() + timedelta(hours=1)


def test_the_newest_approval_comes_first(house: House) -> None:
    found = []
    for _ in range(3):
        found.append(waiting(house, a_line(an_approval())))
        house.clock.at += timedelta(seconds=1)
    assert [ticket.run_id for ticket in tickets(house)] == found[::-1]
    assert len(inbox(house, limit=2)) == 2


@pytest.mark.parametrize(
    ("approvers", "forbids", "may"),
    [
        (["ada"], False, True),
        (["k1"], False, True),
        (["*"], False, True),
        (["bob", "carl"], False, False),
        (["ada"], True, False),
        (["*"], True, False),
    ],
)
def test_who_may_approve_is_shown(house: House, approvers: list[Json], forbids: bool, may: bool) -> None:  # noqa: FBT001
    step = an_approval(approvers=approvers, forbidSelfApproval=forbids)
    waiting(house, a_line(step), created_by_key_id="k1")
    assert [one.can_approve for one in inbox(house)] == [may]
    assert [one.can_approve for one in inbox(house, actor=BOB)] == ["bob" in approvers or "*" in approvers]


def test_what_may_be_decided_by_whom_is_said(house: House) -> None:
    run = house.run(waiting(house, a_line(an_approval()), created_by_key_id="k1"))
    wait = Wait(kind=WaitKind.APPROVAL, approvers=("ada",), forbid_self_approval=True)
    assert approvals.objection("ok", wait, run, BOB) == "approver bob is not allowed for step ok"
    own = "approver ada is not allowed for step ok: whoever started the run may not approve it"
    assert approvals.objection("ok", wait, run, ADA) == own
    assert approvals.objection("ok", Wait(kind=WaitKind.APPROVAL), run, BOB) is None


@pytest.mark.parametrize(
    ("payload", "status", "by"),
    [({"approved": True}, ApprovalStatus.APPROVED, "ada"), ({"approved": False}, ApprovalStatus.REJECTED, None)],
)
def test_an_approval_decided_by_an_event_leaves_the_inbox(
    house: House, payload: Json, status: ApprovalStatus, by: str | None
) -> None:
    run_id = waiting(house, a_line(an_approval()))
    decide(house, run_id, payload)
    assert house.settle(run_id).status.ended
    assert tickets(house) == []
    [ticket] = tickets(house, status)
    assert (ticket.run_id, ticket.closed_by) == (run_id, by)


def test_an_approval_whose_time_is_over_is_timed_out(house: House) -> None:
    run_id = waiting(house, a_line(an_approval()))
    run = house.settle(run_id)
    assert (run.status, run.error and run.error.message) == (RunStatus.FAILED, "approval timed out")
    assert [ticket.run_id for ticket in tickets(house, ApprovalStatus.TIMED_OUT)] == [run_id]


def test_an_approval_whose_time_is_just_over_is_not_pending_and_not_yet_timed_out(house: House) -> None:
    waiting(house, a_line(an_approval()))
    house.clock.at += timedelta(hours=1, seconds=1)
    assert (tickets(house), tickets(house, ApprovalStatus.TIMED_OUT)) == ([], [])


def test_canceling_a_run_cancels_its_approvals(house: House) -> None:
    run_id = waiting(house, a_line(an_approval()))
    terminate(house, run_id)
    assert [ticket.run_id for ticket in tickets(house, ApprovalStatus.CANCELED)] == [run_id]


def test_an_approval_that_a_crash_left_open_is_dropped_and_closed(house: House) -> None:
    run_id, stays = waiting(house, a_line(an_approval())), waiting(house, a_line(an_approval()))
    terminate_unheard(house, run_id)
    assert [ticket.run_id for ticket in tickets(house)] == [stays]
    assert [ticket.run_id for ticket in tickets(house, ApprovalStatus.CANCELED)] == [run_id]


def test_an_inbox_takes_three_reads_however_long(house: House) -> None:
    definition = a_definition([an_approval(f"a{index}") for index in range(20)])
    waiting(house, definition)
    waiting(house, definition)
    with calls() as made:
        assert len(inbox(house)) == 40
    assert made == ["Query", "BatchGetItem", "BatchGetItem"]


def test_a_run_that_ends_closes_what_is_open_and_reads_the_rest(house: House) -> None:
    run_id = waiting(house, a_definition([an_approval(), an_approval("other")]))
    decide(house, run_id, {"approved": False})
    house.drain()
    assert house.run(run_id).status is RunStatus.FAILED
    assert [one.step for one in tickets(house, ApprovalStatus.REJECTED)] == ["ok"]
    assert [one.step for one in tickets(house, ApprovalStatus.CANCELED)] == ["other"]
    house.invoker.drive(run_id)
    with calls() as made:
        house.drain()
    assert made == ["Query", "BatchGetItem"]


@pytest.mark.parametrize("approvers", ["{{ payload.none }}", "{{ payload.empty }}", ["{{ payload.none }}"], [7]])
def test_approvers_that_come_out_as_nobody_are_not_taken_for_anyone(house: House, approvers: Json) -> None:
    step = an_approval(approvers=approvers)
    run = house.settle(house.start(a_line(step), payload={"empty": [], "none": None}))
    assert run.error is not None
    assert (run.error.code, run.error.message[:14]) == ("invalid_field", "approvers must")


def test_approvers_may_be_rendered(house: House) -> None:
    payload: Json = {"one": "bob", "all": ["bob", "k1"]}
    for template, approvers in (("{{ payload.one }}", ("bob",)), ("{{ payload.all }}", ("bob", "k1"))):
        run_id = waiting(house, a_line(an_approval(approvers=template)), payload=payload)
        assert ticket_of(house, run_id, "ok").approvers == approvers


def test_approvers_that_are_rendered_are_the_only_ones_who_decide_by_an_event(house: House) -> None:
    run_id = house.start(a_line(an_approval(approvers="{{ payload }}")), payload=["bob"], invoked=False)
    with pytest.raises(Conflict, match="step ok does not wait yet, and who may approve it is not known before"):
        decide(house, run_id, {"approved": True}, actor=BOB)
    house.invoker.drive(run_id)
    house.drain()
    with pytest.raises(ScopeMissing, match="approver ada is not allowed for step ok"):
        decide(house, run_id, {"approved": True})
    decide(house, run_id, {"approved": True}, actor=BOB)
    assert house.settle(run_id).status is RunStatus.COMPLETED


def test_without_approvers_anyone_may_approve(house: House) -> None:
    run_id = waiting(house, a_line(an_approval(approvers=[]), a_step("after")))
    assert ticket_of(house, run_id, "ok").approvers == ()
    assert [one.can_approve for one in inbox(house, actor=BOB)] == [True]


def test_what_a_person_completes_by_force_was_not_approved(house: House) -> None:
    definition = a_definition([an_approval(), a_wait_by_key(), a_wait_by_key("w", key="k")])
    run_id = waiting(house, definition)
    for ref in ("ok", "wait"):
        asked = Asked(project_id="p", run_id=run_id, key=ref, ask=ASK, clock=house.clock, outside=house.outside)
        repairs.force_complete(asked)
        assert ticket_of(house, run_id, ref).status is TicketStatus.CANCELED
    assert tickets(house, ApprovalStatus.APPROVED) == []
