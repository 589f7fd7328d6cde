"""How far a run has come, folded from its records.

What may start, what is under way and what has ended follow from them, in any order.

A step settles when its record says so. Settling it decides the edges that leave it: *taken* or *dead*. A step whose
edges are all decided is ready if one of them was taken; if all are dead, it is not run and its own edges are dead. A
failure for good with no error edge fails the step's block, and the block's container decides what that means: a
``try`` catches, a loop fails, a race has its first arm, the root fails the run.

The fold is the same whether the records come one by one as they are made, or all at once after a crash; nothing here
reads a clock or writes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from chalicelib.domain import containers
from chalicelib.domain.blocks import Block, Conclusion, Container, Failure, Node, taken
from chalicelib.domain.definition import CONTAINERS, ON_ERROR, ROOT, Definition, Edge, OnFailure, StepType
from chalicelib.domain.resets import ref_of, renewed, taken_events
from chalicelib.domain.scope import RunFacts, Scope
from chalicelib.domain.step import Claim, Event, StepRecord, StepStatus
from chalicelib.domain.timers import Timers
from chalicelib.domain.value import Json, Resolve, resolved

#: Where a step with a wait on record waits still; it is running while a worker outside has the work.
_WAITS: Final = frozenset({StepStatus.WAITING, StepStatus.RUNNING})


class Progress:
    """A run's progress. ``record`` and ``claim`` carry it on; everything else only looks."""

    def __init__(self, definition: Definition, run: RunFacts, *, resolve: Resolve) -> None:
        """Begin with nothing recorded."""
        self.definition = definition
        self.run = run
        self.resolve = resolve
        self.records: dict[str, StepRecord] = {}
        #: Attempts recorded before their result, containers' included.
        self.claims: dict[str, Claim] = {}
        #: Steps that may start, and the containers among them.
        self.ready: dict[str, Node] = {}
        self.ready_containers: dict[str, Node] = {}
        #: Steps under way.
        self.claimed: dict[str, Claim] = {}
        #: Steps that wait, those of them that a worker outside is at, and steps between two attempts.
        self.waiting: dict[str, StepRecord] = {}
        self.at_work: dict[str, StepRecord] = {}
        self.retrying: dict[str, StepRecord] = {}
        #: Containers that have been opened, and those of them that have come to something not yet recorded.
        self.open: dict[str, Container] = {}
        self.conclusions: dict[str, Conclusion] = {}
        #: Events that no wait has taken, by type, in order of arrival.
        self.events: dict[str, deque[Event]] = {}
        #: How it ended, if it has.
        self.done = False
        self.failure: Failure | None = None

        #: Steps whose deadline, wait or pause is over by itself.
        self.timers = Timers(self._time_of)
        self._nodes: dict[str, Node] = {}
        self._to_activate: deque[Node] = deque()
        #: What ends a block before it is through: when, at which step, how, and which block.
        self._ends: list[tuple[datetime, str, Callable[[Block], None], Block]] = []
        self.root = Block(name=ROOT, prefix="", owner="", remaining=len(definition.blocks[ROOT]))

    @classmethod
    def rebuild(
        cls,
        definition: Definition,
        run: RunFacts,
        *,
        records: Iterable[StepRecord] = (),
        claims: Mapping[str, Claim] | None = None,
        events: Iterable[Event] = (),
        resolve: Resolve,
    ) -> Progress:
        """Return the progress that a run's records tell of; ``claims`` are those held by the run itself."""
        progress = cls(definition, run, resolve=resolve)
        stored = {record.key: record for record in records}
        for held in (claims or {}, *(record.claims for record in stored.values())):
            for claim in held.values():
                progress._keep_claim(claim)
        progress.records = renewed(definition, run.resets, stored, progress.claims) if run.resets else stored
        known = taken_events(stored.values())
        for event in sorted(events, key=lambda event: event.id):
            if event.id not in known:
                progress.events.setdefault(event.type, deque()).append(event)
        progress.start_block(progress.root)
        progress.settle_all()
        return progress

    # What carries it on

    def record(self, record: StepRecord) -> bool:
        """Take in a step's record.

        False, and nothing changed, when the step no longer counts (its block has been closed).
        """
        node = self._nodes.get(record.key)
        if node is None or node.settled or node.block.closed:
            return False
        self.records[record.key] = record
        if record.event_id:
            self._take(record.event_id)
        self._forget(record.key)
        self._to_activate.append(node)
        self.settle_all()
        return True

    def claim(self, claim: Claim) -> None:
        """Take in that an attempt has been claimed; a container is opened by it."""
        node = self.ready.pop(claim.key)
        self.ready_containers.pop(claim.key, None)
        self.claims[claim.key] = claim
        self._to_activate.append(node)
        self.settle_all()

    def reassign(self, claims: Iterable[Claim]) -> None:
        """Take in that attempts just claimed are made out to another owner."""
        for claim in claims:
            self.claims[claim.key] = self.claimed[claim.key] = claim
            self.timers.set(claim.key)

    def lose(self, key: str) -> None:
        """Make ready again a step whose attempt is lost.

        Its claim stays, so that the next attempt counts on from it. It comes first: its place is there for it, and
        until the next attempt is claimed another driver takes the lost one to be under way.
        """
        del self.claimed[key]
        self.ready = {key: self._nodes[key], **self.ready}

    def due(self, key: str) -> None:
        """Make ready again a step whose pause between attempts is over."""
        del self.retrying[key]
        self.ready[key] = self._nodes[key]

    # What may be asked

    def scope(self, key: str) -> Scope:
        """Return the names that the step's templates see."""
        node = self._nodes[key]
        return self.scope_in(node.block, ref=node.spec.ref)

    def scope_in(self, block: Block, *, ref: str | None = None) -> Scope:
        """Return the names that are seen inside a block."""
        return Scope(
            definition=self.definition,
            run=self.run,
            records=self.records,
            block=block,
            resolve=self.resolve,
            ref=ref,
        )

    def node(self, key: str) -> Node:
        """Return a step instance whose block is running; ``KeyError`` otherwise."""
        return self._nodes[key]

    def status_of(self, key: str) -> StepStatus:
        """Return where a step stands while the run goes on; one that nothing can lead to any more counts as skipped."""
        if key in self.claimed or key in self.open:
            return StepStatus.RUNNING
        record, node = self.records.get(key), self._nodes.get(key)
        if record is not None:
            return record.status
        return StepStatus.SKIPPED if node is not None and node.settled else StepStatus.PENDING

    def counts(self, key: str) -> bool:
        """Whether a result for this step would still be taken in."""
        node = self._nodes.get(key)
        return node is not None and not node.settled and not node.block.closed

    def is_under_way(self, claim: Claim) -> bool:
        """Whether the attempt, or the container that was opened by it, has not come to anything yet."""
        known = self.claimed.get(claim.key) or (self.claims.get(claim.key) if claim.key in self.open else None)
        return known is not None and (known.generation, known.attempt) == (claim.generation, claim.attempt)

    def is_needed(self, claim: Claim) -> bool:
        """Whether what holds this claim must go on holding it: nothing has come of it, and no later one is on record.

        That of a lost attempt is needed too, so that the next one counts on from it; and one in a container that is not
        open now, since what leads to it began anew, but will be.
        """
        known = self._claim_under_way(claim.key) if self._may_count(claim.key) else None
        return known is not None and (known.generation, known.attempt) == (claim.generation, claim.attempt)

    def answer_of(self, block: Block, *, by_name: bool = False) -> Json:
        """Return what a block answers: its only terminal step's output, or those that completed, by ref or by name.

        How errors are handled does not show: a handler that did not run, or a step whose failure was handled, is no
        end of the block.
        """
        ends, outputs = 0, dict[str, Json]()
        for ref in self.definition.terminal(block.name):
            record = self.records.get(block.prefix + ref)
            if record is not None and record.status is StepStatus.COMPLETED:
                outputs[self.definition.steps[ref].name if by_name else ref] = resolved(record.output, self.resolve)
                ends += 1
            elif not (ref in self.definition.handlers or self.definition.outgoing[ref]):
                ends += 1
        return next(iter(outputs.values()), None) if ends == 1 else outputs

    # What containers ask for

    def start_block(self, block: Block) -> None:
        """Make the steps of a block that nothing comes before ready, and count the others' dependencies."""
        for ref in self.definition.blocks[block.name]:
            node = Node(key=block.prefix + ref, spec=self.definition.steps[ref], block=block)
            self._nodes[node.key] = node
            if not self.definition.incoming[ref] or self._is_forced(node.key):
                self._to_activate.append(node)

    def close(self, block: Block) -> None:
        """End a block where it stands: nothing in it starts, and results that come later are dropped."""
        block.closed = True
        for ref in self.definition.blocks[block.name]:
            key = block.prefix + ref
            self._forget(key)
            if key in self.open:
                for inner in self.open.pop(key).blocks:
                    self.close(inner)
                self.conclusions.pop(key, None)

    def settle_all(self) -> None:
        """Follow every consequence of what was taken in, until there is none left."""
        while self._to_activate or self._ends:
            if self._to_activate:
                self._activate(self._to_activate.popleft())
            else:
                # Failures and breaks are looked at last, so that of several the earliest counts, in whatever order
                # they were seen.
                end = min(self._ends, key=lambda end: end[:2])
                self._ends.remove(end)
                _, _, act, block = end
                act(block)

    # How a step's record becomes consequences

    def _activate(self, node: Node) -> None:
        if node.block.closed or node.settled:
            return
        key, record, claim = node.key, self.records.get(node.key), self._claim_under_way(node.key)
        if record is not None and record.status.ended:
            self._settle(node, record)
        elif claim is not None and node.spec.type in CONTAINERS:
            self._open(node)
        elif claim is not None:
            self.claimed[key] = claim
            self.timers.set(key)
        elif record is not None and record.wait is not None and record.status in _WAITS:
            self.waiting[key] = record
            if record.status is StepStatus.RUNNING:
                self.at_work[key] = record
            self.timers.set(key)
        elif record is not None and record.retry_at is not None:
            self.retrying[key] = record
            self.timers.set(key)
        else:
            self.ready[key] = node
            if node.spec.type in CONTAINERS:
                self.ready_containers[key] = node

    def _settle(self, node: Node, record: StepRecord) -> None:
        container = self.open.pop(node.key, None)
        self.conclusions.pop(node.key, None)
        for block in container.blocks if container else ():
            self.close(block)
        if record.status is StepStatus.COMPLETED and node.spec.type is StepType.BREAK and record.output is True:
            assert record.finished_at is not None  # noqa: S101 - a record that has ended has it
            node.settled = True
            self._ends.append((record.finished_at, node.key, self._break, node.block))
            return
        edges = self.definition.outgoing[node.spec.ref]
        handled = any(edge.label == ON_ERROR for edge in edges)
        if record.status is StepStatus.FAILED and not handled:
            failure = Failure.of(record)
            if node.spec.on_failure is not OnFailure.CONTINUE and failure.before(node.block.failure):
                node.block.failure = failure
            # A failure that was on record when the run was reopened does not end it again before the rest is through.
            outlived = record.generation < self.run.reopened_in and node.block is self.root
            if node.spec.on_failure is OnFailure.FAIL_WORKFLOW and not outlived:
                node.settled = True
                self._end_failed(node.block)
                return
        self._pass_on(node, {edge for edge in edges if taken(edge, node.spec, record, handled=handled)})

    def _pass_on(self, node: Node, ways: set[Edge]) -> None:
        """Decide the edges that leave a settled step, and those that leave the steps which thereby will not run."""
        dead: deque[tuple[Node, set[Edge]]] = deque([(node, ways)])
        while dead:
            node, ways = dead.popleft()
            node.settled = True
            for edge in self.definition.outgoing[node.spec.ref]:
                target = self._nodes[node.block.prefix + edge.target]
                target.arrived += 1
                target.alive = target.alive or edge in ways
                target.barred = target.barred or (edge.required and edge not in ways)
                if target.arrived < len(self.definition.incoming[edge.target]) or self._is_forced(target.key):
                    # What a person has decided counts from the start, whatever leads to it.
                    continue
                if target.alive and not target.barred:
                    self._to_activate.append(target)
                else:
                    dead.append((target, set()))
            node.block.remaining -= 1
            if node.block.remaining == 0:
                self._through(node.block)

    def _through(self, block: Block) -> None:
        if block.failure is not None:
            self._end_failed(block)
        elif block.owner == "":
            self.done = True
        else:
            containers.through(self, self.open[block.owner], block)

    def _end_failed(self, block: Block) -> None:
        assert block.failure is not None  # noqa: S101 - it is what ends the block
        self._ends.append((block.failure.at, block.failure.key, self._fail, block))

    def _fail(self, block: Block) -> None:
        assert block.failure is not None  # noqa: S101 - only a block with a failure is put on the list
        if block.closed:
            return
        if block.owner == "":
            if block.failure.before(self.failure):
                self.failure = block.failure
            return
        self.close(block)
        containers.failed(self, self.open[block.owner], block, block.failure)

    def _break(self, block: Block) -> None:
        """End the loop around a block, or the run as complete where there is none."""
        if block.closed:
            return
        while block.outer is not None and self.open[block.owner].node.spec.type is not StepType.LOOP:
            block = block.outer
        self.close(block)
        if block.outer is None:
            self.done = True
        else:
            containers.broken(self, self.open[block.owner], block)

    def _open(self, node: Node) -> None:
        if node.key not in self.open:
            self.open[node.key] = container = Container(node=node)
            containers.opened(self, container)

    # Bookkeeping

    def _time_of(self, key: str) -> datetime | None:
        if key in self.claimed:
            return self.claimed[key].deadline
        if key in self.retrying:
            return self.retrying[key].retry_at
        wait = self.waiting[key].wait if key in self.waiting else None
        return wait.look_at if wait else None

    def _keep_claim(self, claim: Claim) -> None:
        known = self.claims.get(claim.key)
        if known is None or (known.generation, known.attempt) < (claim.generation, claim.attempt):
            self.claims[claim.key] = claim

    def _may_count(self, key: str) -> bool:
        """Whether a result for this step would be taken in now, or once what it stands in is open."""
        if key in self._nodes:
            return self.counts(key)
        around = self.definition.container_around(key, ref_of(key))
        return around is not None and self._may_count(around[0])

    def _claim_under_way(self, key: str) -> Claim | None:
        claim, record = self.claims.get(key), self.records.get(key)
        if claim is None or (
            record is not None and (record.generation, record.attempt) >= (claim.generation, claim.attempt)
        ):
            return None
        return claim

    def _forget(self, key: str) -> None:
        held: dict[str, Any]
        for held in (self.ready, self.ready_containers, self.claimed, self.waiting, self.at_work, self.retrying):
            held.pop(key, None)

    def _is_forced(self, key: str) -> bool:
        record = self.records.get(key)
        return record is not None and record.forced

    def _take(self, event_id: str) -> None:
        for queue in self.events.values():
            for event in queue:
                if event.id == event_id:
                    queue.remove(event)
                    return
