"""A walk through a run: things happen to it, and after each of them every rule of the engine is checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from chalicelib.domain import condition, engine
from chalicelib.domain.definition import CONTAINERS, Definition, StepType
from chalicelib.domain.engine import Finish
from chalicelib.domain.outcome import Completed, Failed, Outcome, Waiting
from chalicelib.domain.progress import Progress
from chalicelib.domain.repair import REOPENING, StepVerb
from chalicelib.domain.resets import renewed
from chalicelib.domain.run import RunStatus
from chalicelib.domain.starting import Limits
from chalicelib.domain.step import MOVES, Claim, StepError, StepRecord, StepStatus, Wait, WaitKind
from chalicelib.domain.ticket import ticket_event
from chalicelib.domain.value import Json
from chalicelib.domain.waits import approval_event, child_event
from tests.domain import people
from tests.domain.building import FACTS, seconds
from tests.domain.oracle import Oracle
from tests.domain.people import Asked
from tests.domain.stored import Stored, fingerprint
from tests.domain.strategies import BRANCHES, EVENT_TYPES, Happening, Kind

T = TypeVar("T")
PAUSES = (0, 1, 7, 12, 60, 400, 1000, 3000)
VERBS: Mapping[Kind, StepVerb] = MappingProxyType(
    {
        Kind.APPROVE: StepVerb.APPROVE,
        Kind.REJECT: StepVerb.REJECT,
        Kind.SKIP: StepVerb.SKIP,
        Kind.FORCE: StepVerb.FORCE_COMPLETE,
        Kind.RETRY: StepVerb.RETRY,
        Kind.REPLAY: StepVerb.REPLAY,
    },
)
_ANSWERED = frozenset({WaitKind.CHILD, WaitKind.JOB, WaitKind.AGENT})
OUTPUTS: tuple[Json, ...] = ({"go": "yes"}, None, 1, {"go": 1}, {"go": ""}, "x", [], {})


@dataclass
class Walk:
    """One run, and what happens to it."""

    definition: Definition
    parallel: int = 0
    disabled: tuple[str, ...] = ()
    #: Steps handed to others: the progress as it was then, the claim, and whether it has been made.
    handed: list[tuple[Progress, Claim]] = field(default_factory=list)
    stored: Stored = field(init=False)
    _seen: int = 0
    _written: int = 0
    _events_taken: list[str] = field(default_factory=list)
    #: How many attempts the driver ends while a person's next verb is judged and written.
    _meanwhile: int = 0

    def __post_init__(self) -> None:
        facts = replace(FACTS, disabled=self.disabled)
        self.stored = Stored(self.definition, limits=Limits(parallel=self.parallel), facts=facts)
        self.stored.advance()
        self.check()

    def happen(self, happening: Happening) -> None:
        """Let something happen, if it can, and check the rules."""
        over = self.stored.finish is not None
        if happening.kind in VERBS and (not over or VERBS[happening.kind] in REOPENING):
            self._ask(VERBS[happening.kind], happening.pick)
        elif not over:
            self._happen(happening)
        elif happening.kind is Kind.WORK_ENDS:
            self._work_ends(happening)
        self.check()

    def finish(self) -> Finish:
        """Carry the run on until it ends."""
        stored = self.stored
        if stored.status is RunStatus.PAUSED:
            stored.status = RunStatus.RUNNING
        self.stored.driving, self.stored.crash_after = True, None
        stored.advance()
        for _ in range(3_000):
            self.check()
            if stored.finish is not None:
                self._check_end(stored.finish)
                return stored.finish
            if stored.progress.claimed:
                claim = stored.under_way()[0]
                stored.end(claim.key, self._answer(claim, 0))
                continue
            unending = [record for record in stored.progress.waiting.values() if record.wait and not record.wait.until]
            if unending:
                assert unending[0].wait is not None
                stored.send(str(unending[0].wait.event_type), {"approved": True})
            else:
                at = stored.progress.timers.next_due()
                assert at is not None, "the run is stuck"
                stored.now = max(stored.now, at)
            stored.advance()
        raise AssertionError("the run does not end")

    # What happens

    def _happen(self, happening: Happening) -> None:
        stored, pick = self.stored, happening.pick
        match happening.kind:
            case Kind.NOTHING:
                return
            case Kind.CRASH_IN_WRITE:
                stored.crash_after = pick
                return
            case Kind.MEANWHILE:
                self._meanwhile = 1 + pick % 3
                return
            case Kind.CANCEL if pick == 0:
                stored.finish, stored.ended_at = Finish(status=RunStatus.CANCELED), stored.now
            case Kind.LATER:
                stored.now += seconds(PAUSES[pick])
            case Kind.PAUSE | Kind.RESUME:
                stored.status = RunStatus.PAUSED if happening.kind is Kind.PAUSE else RunStatus.RUNNING
                stored.crash()
            case Kind.CRASH:
                stored.let_go()
                stored.crash()
            case Kind.RECOVER:
                stored.crash()
                engine.recover(stored.progress, owner=stored.owner, under_way=frozenset())
            case Kind.LATE_DRIVER:
                stored.driving = not stored.driving
            case _:
                self._attempt(happening)
                return
        stored.advance()

    def _attempt(self, happening: Happening) -> None:
        """Let something happen that a step makes or waits for."""
        claim = _one(self.stored.under_way(), happening.pick)
        match happening.kind:
            case Kind.EVENT | Kind.DECIDE | Kind.ANSWER | Kind.ANSWER_WITH_FAILURE:
                self._send(happening)
                self.stored.advance()
            case Kind.WORK_ENDS | Kind.WORK_FAILS:
                self._work_ends(happening)
            case Kind.WORK if claim is not None:
                self.handed.append((self.stored.rebuilt(events=False), claim))
            case _ if claim is not None:
                self.stored.end(claim.key, self._outcome(claim, happening))

    def _send(self, happening: Happening) -> None:
        stored, pick = self.stored, happening.pick
        if happening.kind is Kind.EVENT:
            stored.send(EVENT_TYPES[pick % 2], pick)
            return
        if happening.kind is Kind.DECIDE:
            asked = [spec.ref for spec in self.definition.steps.values()]
            payload: Json = {"approved": pick % 3 == 0} if pick % 3 < 2 else {"approved": "perhaps"}
            stored.send(approval_event(asked[pick % len(asked)]), payload)
            return
        waits = [record.wait for record in stored.records.values() if record.wait is not None]
        wait = _one([wait for wait in waits if wait.kind in _ANSWERED], pick)
        if wait is not None:
            bad = happening.kind is Kind.ANSWER_WITH_FAILURE
            failure = StepError(code="child", message="it failed") if bad else None
            stored.send(str(wait.event_type), pick, failure=failure)

    def _ask(self, verb: StepVerb, pick: int) -> None:
        stored = self.stored
        asked = Asked(verb=verb, place=pick / len(PAUSES), output=OUTPUTS[pick], meanwhile=self._end_one)
        stored.crash_after = None
        people.ask(stored, asked)
        self._meanwhile = 0

    def _end_one(self) -> None:
        """Have the driver end an attempt, if it is to do so while a person writes, and it has not crashed."""
        claim = _one(self.stored.under_way(), self._meanwhile)
        if self._meanwhile and claim is not None:
            self._meanwhile -= 1
            self.stored.end(claim.key, self._answer(claim, self._meanwhile))

    def _work_ends(self, happening: Happening) -> None:
        if not self.handed:
            return
        progress, claim = self.handed.pop(happening.pick % len(self.handed))
        if claim.key not in progress.claimed:
            return
        outcome = self._outcome(claim, happening)
        record = engine.conclude(progress, claim.key, outcome, now=self.stored.now)
        if not self.stored.put_late(record):
            return
        self.stored.crash()
        self.stored.advance()

    def _outcome(self, claim: Claim, happening: Happening) -> Outcome:
        pick, until = happening.pick, self.stored.now + seconds(PAUSES[happening.pick])
        match happening.kind:
            case Kind.FAIL | Kind.FAIL_FOR_GOOD | Kind.WORK_FAILS:
                error = StepError(code="test", message=f"{claim.key} failed")
                return Failed(error=error, retryable=happening.kind is Kind.FAIL)
            case Kind.WAIT:
                return Waiting(wait=Wait(kind=WaitKind.EVENT, event_type=EVENT_TYPES[pick % 2]))
            case Kind.WAIT_BRIEFLY:
                return Waiting(wait=Wait(kind=WaitKind.EVENT, event_type=EVENT_TYPES[pick % 2], until=until))
            case Kind.SLEEP:
                return Waiting(wait=Wait(kind=WaitKind.SLEEP, until=until))
            case Kind.ASK:
                ref = claim.key.rsplit(".", 1)[-1]
                return Waiting(wait=Wait(kind=WaitKind.APPROVAL, event_type=approval_event(ref), until=until))
            case Kind.CHILD:
                type_ = child_event(claim.key, claim.generation, claim.attempt)
                return Waiting(wait=Wait(kind=WaitKind.CHILD, event_type=type_, until=until))
            case Kind.JOB:
                type_ = ticket_event(claim.key, claim.generation, claim.failures)
                return Waiting(wait=Wait(kind=WaitKind.JOB, event_type=type_, until=until if pick % 2 else None))
            case Kind.AGENT:
                type_ = ticket_event(claim.key, claim.generation, claim.failures)
                beat_by = self.stored.now + seconds(PAUSES[pick // 2])
                return Waiting(wait=Wait(kind=WaitKind.AGENT, event_type=type_, until=until, beat_by=beat_by))
            case _:
                return self._answer(claim, pick)

    def _answer(self, claim: Claim, pick: int) -> Outcome:
        match self.definition.steps[claim.key.rsplit(".", 1)[-1]].type:
            case StepType.BRANCH:
                label = (*BRANCHES, None)[pick % 3]
                return Completed(output={"branch": label}, branch=label)
            case StepType.BREAK:
                return Completed(output=pick % 2 == 0)
            case _:
                return Completed(output=OUTPUTS[pick])

    # What must hold

    def check(self) -> None:
        """Hold the run to every rule."""
        self._check_claims()
        self._check_records()
        self._check_rest()
        self._check_fold()

    def _check_claims(self) -> None:
        stored = self.stored
        fresh = stored.started[self._seen :]
        assert not fresh or stored.status is RunStatus.RUNNING, "a step was claimed though the run is not running"
        if fresh:
            self._check_fresh(fresh)
        self._seen = len(stored.started)
        self._check_bounds()
        assert not any(self._type(key) in CONTAINERS for key in stored.progress.claimed)

    def _check_fresh(self, fresh: list[Claim]) -> None:
        stored = self.stored
        held = [stored.run_claims, *(record.claims for record in stored.records.values())]
        claims = sorted(
            (claim for one in held for claim in one.values()), key=lambda one: (one.generation, one.attempt)
        )
        newest = {claim.key: claim for claim in claims}
        records = renewed(self.definition, stored.facts.resets, stored.records, newest)
        oracle = Oracle(self.definition, records, stored.started, reopened_in=stored.facts.reopened_in)
        for claim in fresh:
            assert claim.key.rsplit(".", 1)[-1] not in self.disabled
            assert self._may_run(oracle, claim.key), f"{claim.key} was claimed against its condition"
            assert oracle.may_be_claimed(claim.key), f"{claim.key} was claimed too early, or too late"
            earlier = [(one.generation, one.attempt) for one in stored.started[: self._seen] if one.key == claim.key]
            assert (claim.generation, claim.attempt) > max(earlier, default=(0, 0)), (
                f"attempt {claim.attempt} of {claim.key} was made before"
            )
        assert len({claim.key for claim in fresh}) == len(fresh)

    def _may_run(self, oracle: Oracle, key: str) -> bool:
        """Whether the step's condition holds; one that a person had run may be asked before what it asks for."""
        asked = self.definition.steps[key.rsplit(".", 1)[-1]].condition
        if asked is None or oracle.is_forced(key):
            return True
        return condition.holds(asked, self.stored.progress.scope(key), oracle.status_of)

    def _check_bounds(self) -> None:
        running = (*self.stored.progress.claimed, *self.stored.progress.at_work)
        specs = [self.definition.steps[key.rsplit(".", 1)[-1]] for key in running]
        assert not self.parallel or len(specs) <= self.parallel
        keys = [spec.concurrency_key for spec in specs if spec.concurrency_key is not None]
        assert len(set(keys)) == len(keys)
        for resource_class, count in Counter(spec.resource_class for spec in specs).items():
            assert resource_class is None or count <= resource_class.most

    def _check_records(self) -> None:
        stored = self.stored
        for before, after in stored.written[self._written :]:
            if before is not None and before.status.ended and after.generation == before.generation:
                assert (after.key, after.revision) in stored.by_people, f"{after.key} had ended"
                assert before.status is StepStatus.FAILED
            anew = before is None or after.generation > before.generation
            status = before.status if before and not (anew or before.status.ended) else StepStatus.PENDING
            # Every record but a wait's end is written by an attempt; a wait that ends badly may be attempted again.
            moves = {*MOVES[status], *MOVES[StepStatus.RUNNING]}
            assert after.status in moves
            if before is not None:
                assert (after.generation, after.attempt) >= (before.generation, before.attempt)
                assert after.attempt >= before.attempt
            self._check_event(before, after)
        self._written = len(stored.written)

    def _check_event(self, before: StepRecord | None, after: StepRecord) -> None:
        if after.event_id is None or (before and before.event_id == after.event_id):
            return
        assert after.event_id not in self._events_taken, "an event ended two waits"
        event = next(event for event in self.stored.events if event.id == after.event_id)
        if event.type in EVENT_TYPES:
            same = [one.id for one in self.stored.events if one.type == event.type and one.id < event.id]
            assert set(same) <= set(self._events_taken) or (after.wait and after.wait.until)
        self._events_taken.append(after.event_id)

    def _check_rest(self) -> None:
        stored, progress = self.stored, self.stored.progress
        if stored.finish is not None or stored.crash_after is not None:
            return
        idle = stored.status is RunStatus.PAUSED or not stored.driving
        held = progress.claimed or progress.waiting or progress.retrying or (idle and progress.ready)
        assert held, "the run is stuck"
        assert not progress.conclusions

    def _check_end(self, finish: Finish) -> None:
        failures = [record for record in self.stored.records.values() if record.status is StepStatus.FAILED]
        assert failures or finish.status in {RunStatus.COMPLETED, RunStatus.CANCELED}

    def _check_fold(self) -> None:
        stored = self.stored
        if stored.finish is not None:
            return
        again = stored.rebuilt()
        engine.recover(again, owner=stored.owner, under_way=frozenset(stored.progress.claimed))
        decision = engine.advance(again, status=stored.status, now=stored.now, driver=None, limits=stored.limits)
        assert decision.finish is None
        assert decision.records == ()
        assert fingerprint(again) == fingerprint(stored.progress)
        assert again.timers.next_due() == stored.progress.timers.next_due()

    def _type(self, key: str) -> StepType:
        return self.definition.steps[key.rsplit(".", 1)[-1]].type


def _one(options: list[T], pick: int) -> T | None:
    return options[pick % len(options)] if options else None
