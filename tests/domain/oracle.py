"""When a step may be claimed, said a second time: slowly, from the records alone, and without the engine's own fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from chalicelib.domain.definition import (
    ON_ERROR,
    ROOT,
    Definition,
    Edge,
    OnFailure,
    StepSpec,
    StepType,
    block_name,
    container_of,
    label_of,
)
from chalicelib.domain.step import Claim, StepRecord, StepStatus


class Through(StrEnum):
    """What a block has come to."""

    OPEN = "open"
    THROUGH = "through"
    FAILED = "failed"


class Oracle:
    """What a run's records allow."""

    def __init__(
        self,
        definition: Definition,
        records: Mapping[str, StepRecord],
        started: Iterable[Claim],
        *,
        reopened_in: int = 0,
    ) -> None:
        self.definition = definition
        #: The generation since which the run goes on although something had failed it.
        self.reopened_in = reopened_in
        self.records = records
        #: Containers that have begun, and nothing has come of it yet.
        self.started = {claim.key for claim in started if _is_ahead(claim, records.get(claim.key))}

    def may_be_claimed(self, key: str) -> bool:
        """Whether a step is led to, all its edges being decided, or a person had it run, and its block is open."""
        prefix, ref = key[: key.rfind(".") + 1], key[key.rfind(".") + 1 :]
        record = self.records.get(key)
        if record is not None and record.status.ended:
            return False
        return self._is_reached(prefix, ref) is True and self._is_open(self.definition.steps[ref].block, prefix)

    def status_of(self, ref: str) -> StepStatus:
        """Return where a step of the root block stands; what has not ended is pending."""
        record = self.records.get(ref)
        if self.is_forced(ref) or self._is_reached("", ref) is not False:
            return record.status if record is not None and record.status.ended else StepStatus.PENDING
        return StepStatus.SKIPPED

    def is_forced(self, key: str) -> bool:
        """Whether a person has decided about a step, whatever leads to it."""
        record = self.records.get(key)
        return record is not None and record.forced

    def _is_reached(self, prefix: str, ref: str) -> bool | None:
        """Whether a step is led to; None while that is not decided."""
        if self.is_forced(prefix + ref):
            return True
        edges = self.definition.incoming[ref]
        decided = {edge: self._is_taken(prefix, edge) for edge in edges}
        if None in decided.values():
            return None
        return not edges or (any(decided.values()) and all(decided[edge] for edge in edges if edge.required))

    def _is_taken(self, prefix: str, edge: Edge) -> bool | None:
        reached = self._is_reached(prefix, edge.source)
        if not reached:
            return reached
        record, spec = self.records.get(prefix + edge.source), self.definition.steps[edge.source]
        if record is None or not record.status.ended:
            return None
        if record.status is StepStatus.FAILED:
            if self._is_handled(spec):
                return edge.label == ON_ERROR
            if spec.on_failure is OnFailure.FAIL_WORKFLOW:
                return False if self._is_outlived(spec, record) else None
            return spec.on_failure is OnFailure.CONTINUE
        if edge.label == ON_ERROR:
            return False
        skipped = record.status is StepStatus.SKIPPED
        return skipped or spec.type is not StepType.BRANCH or edge.label == record.branch

    def _is_outlived(self, spec: StepSpec, record: StepRecord) -> bool:
        """Whether a failure in the root block was on record when the run was reopened: the rest goes on beside it."""
        return (
            spec.block == ROOT and spec.on_failure is OnFailure.FAIL_WORKFLOW and record.generation < self.reopened_in
        )

    def _is_handled(self, spec: StepSpec) -> bool:
        return any(edge.label == ON_ERROR for edge in self.definition.outgoing[spec.ref])

    def _is_open(self, block: str, prefix: str) -> bool:
        if self._result(block, prefix) is not Through.OPEN:
            return False
        if block == ROOT:
            return True
        owner, label = container_of(block), label_of(block)
        outside, iteration = prefix, 0
        if self.definition.steps[owner].type is StepType.LOOP:
            outside, iteration = prefix[: prefix.rfind(f"{owner}.")], int(prefix.split(".")[-2])
        record = self.records.get(outside + owner)
        if outside + owner not in self.started or (record is not None and record.status.ended):
            return False
        return self._is_turn(owner, label, outside, iteration) and self._is_open(
            self.definition.steps[owner].block, outside
        )

    def _is_turn(self, owner: str, label: str, outside: str, iteration: int) -> bool:
        """Whether a block of a container has begun, and no other has taken its place."""

        def result(label: str) -> Through | None:
            name = block_name(owner, label)
            return self._result(name, outside) if name in self.definition.blocks else None

        match self.definition.steps[owner].type, label:
            case StepType.LOOP, _:
                before = f"{outside}{owner}.{iteration - 1}."
                return iteration == 0 or self._result(block_name(owner, label), before) is Through.THROUGH
            case StepType.RACE, _:
                arms = self.definition.container_blocks[owner]
                return all(self._result(arm, outside) is Through.OPEN for arm in arms)
            case _, "try":
                return True
            case _, "catch":
                return result("try") is Through.FAILED
            case _:
                if result("try") is Through.FAILED and result("catch") is not None:
                    return result("catch") is not Through.OPEN
                return result("try") is not Through.OPEN

    def _result(self, block: str, prefix: str) -> Through:
        waits_for_end = False
        still_open = False
        for ref in self.definition.blocks[block]:
            record, spec = self.records.get(prefix + ref), self.definition.steps[ref]
            reached = self._is_reached(prefix, ref)
            if reached and record is not None and record.status is StepStatus.FAILED and not self._is_handled(spec):
                outlived = self._is_outlived(spec, record)
                if spec.on_failure is OnFailure.FAIL_WORKFLOW and not outlived:
                    return Through.FAILED
                waits_for_end = waits_for_end or outlived or spec.on_failure is OnFailure.SKIP_DEPENDENTS
            if reached is not False and not (reached and record is not None and record.status.ended):
                still_open = True
        if still_open:
            return Through.OPEN
        return Through.FAILED if waits_for_end else Through.THROUGH


def _is_ahead(claim: Claim, record: StepRecord | None) -> bool:
    return record is None or (record.generation, record.attempt) < (claim.generation, claim.attempt)
