"""Runs as the workflows API tells of them: by the steps of their workflow, each iteration an attempt of its step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from chalicelib.domain.definition import CONTAINERS, ROOT, StepSpec, StepType, container_of
from chalicelib.domain.persona import Role
from chalicelib.domain.refusal import NotFound
from chalicelib.domain.resets import past, ref_of
from chalicelib.domain.run import Run
from chalicelib.domain.step import PastAttempt, StepError, StepRecord, StepStatus, WaitKind
from chalicelib.domain.timeline import Entry
from chalicelib.domain.value import Json, Offloaded, Value, size_of
from chalicelib.services import definitions, identifiers, inspections, run_lists
from chalicelib.services.inspections import Inspection
from chalicelib.services.outside import current
from chalicelib.services.values import Values
from chalicelib.store import run_items, runs
from chalicelib.store.paging import Page

#: An attempt's output is shown up to here, and all outputs together up to there, in bytes of JSON; text in characters.
LARGEST_SHOWN: Final = 32 * 1024
MOST_SHOWN: Final = 2 * 1024 * 1024
#: What a run answered is shown up to here.
LARGEST_ANSWER: Final = 1024 * 1024
#: How many outputs that lie outside their records are fetched for one answer.
_MOST_FETCHED: Final = 20


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt at a step, in one iteration of the loop around it."""

    #: From 1; 1 where there is no loop.
    iteration: int
    #: From 1 in each iteration.
    attempt: int
    status: StepStatus
    started_at: datetime | None
    finished_at: datetime | None
    #: What a checker said, and what it wants.
    verdict: str | None
    feedback: str | None
    output: Json
    #: Whether the output is more than is shown.
    truncated: bool
    error: StepError | None


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of a workflow, and all that became of it in a run."""

    ref: str
    name: str
    #: What its agent is there for; none for a step without one.
    role: str | None
    #: The loop that it stands in.
    loop_id: str | None
    #: That of its latest iteration.
    status: StepStatus
    attempts: Sequence[Attempt]


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A run looked at as a whole."""

    run: Run
    #: What it was started with, fetched.
    payload: Json
    steps: Sequence[Step]
    output: Json
    #: Whether it answered more than is shown.
    truncated: bool


def page(project_id: str, workflow_id: str, *, cursor: str | None, limit: int) -> Page[Run]:
    """Return a page of a workflow's runs, newest first; of a payload outside the table, what the start kept beside it.

    The runs of a deleted workflow can be listed still.
    """
    found = run_lists.page(project_id, workflow_id, statuses=None, cursor=cursor, limit=limit)
    outside = [run.id for run in found.items if isinstance(run.payload, Offloaded)]
    excerpts = run_items.excerpts(outside) if outside else {}
    return Page(items=tuple(_excerpted(run, excerpts) for run in found.items), cursor=found.cursor)


def load(project_id: str, run_id: str, *, now: datetime) -> Looked:
    """Return a run of the project with its steps, in the workflow's order; another's is refused as unknown.

    Where its workflow was removed for good, its steps are those that it has records of, by ref alone.
    """
    loaded = runs.load_collection(identifiers.known_form(run_id, "Run"))
    if loaded is None or loaded.run.project_id != project_id:
        raise NotFound("Run not found")
    values = Values(project_id=project_id, payloads=current().payloads)
    payload, shown = values.fetched(loaded.run.payload), _Shown(values=values)
    try:
        inspection = inspections.of(loaded, values)
    except definitions.Gone:
        steps: list[Step] = list(_unnamed(loaded.records, shown))
    else:
        inspections.carried_on(inspection, now)
        steps = list(_steps(inspection, payload, shown))
    output, truncated = _answer(loaded.run.output, values)
    return Looked(run=loaded.run, payload=payload, steps=steps, output=output, truncated=truncated)


@dataclass
class _Shown:
    """How much of outputs has been shown, and so how much more may be."""

    values: Values
    size: int = 0
    fetched: dict[str, Json] = field(default_factory=dict)

    def part(self, output: Json) -> tuple[Json, bool]:
        """Return as much of an output as is shown, of text its beginning; and whether there is more."""
        part = output[:LARGEST_SHOWN] if isinstance(output, str) else output
        size = size_of(part)
        if self.size + size > MOST_SHOWN or (size > LARGEST_SHOWN and not isinstance(part, str)):
            return None, True
        self.size += size
        return part, part != output

    def fetch(self, value: Value) -> tuple[Json, bool]:
        """Return a value, and whether it is there: not too many are fetched."""
        if not isinstance(value, Offloaded):
            return value, True
        if value.digest not in self.fetched and len(self.fetched) < _MOST_FETCHED:
            self.fetched[value.digest] = self.values.fetched(value)
        return self.fetched.get(value.digest), value.digest in self.fetched


def _excerpted(run: Run, excerpts: Mapping[str, str]) -> Run:
    return replace(run, payload=json.loads(excerpts[run.id])) if run.id in excerpts else run


def _answer(output: Value, values: Values) -> tuple[Json, bool]:
    if isinstance(output, Offloaded) and output.size > LARGEST_ANSWER:
        return None, True
    return values.fetched(output), False


def _steps(inspection: Inspection, payload: Json, shown: _Shown) -> Iterator[Step]:
    """Yield the steps that a workflow's author gave: those that only hold others together are left out."""
    definition = inspection.progress.definition
    entries: dict[str, list[Entry]] = {}
    for entry in inspection.in_order():
        if entry.type not in CONTAINERS and entry.type is not StepType.BREAK:
            entries.setdefault(ref_of(entry.key), []).append(entry)
    for ref, found in entries.items():
        spec = definition.steps[ref]
        around = definition.steps.get(container_of(spec.block)) if spec.block != ROOT else None
        is_agent = spec.type is StepType.AGENT
        yield Step(
            ref=ref,
            name=spec.name,
            role=_role(spec, payload) if is_agent else None,
            loop_id=around.name if around is not None and around.type is StepType.LOOP else None,
            # Not that of an iteration which a replay has called off, and which may not come again.
            status=next(
                (one.status for one in reversed(found) if _has_begun(one) or not one.attempt), found[-1].status
            ),
            attempts=[one for entry in found for one in _attempts_of(entry, shown, is_agent=is_agent)],
        )


def _role(spec: StepSpec, payload: Json) -> str:
    """Return what an agent is there for: as its step says, or its persona as the run was started with it."""
    personas = payload.get("personas") if isinstance(payload, Mapping) else None
    persona = personas.get(str(spec.config.get("personaId"))) if isinstance(personas, Mapping) else None
    of_persona = persona.get("type") if isinstance(persona, Mapping) else None
    return str(spec.config.get("role") or of_persona or Role.CUSTOM)


def _attempts_of(entry: Entry, shown: _Shown, *, is_agent: bool) -> Iterator[Attempt]:
    now = PastAttempt(
        attempt=entry.attempt,
        generation=entry.generation,
        # Between two attempts the step is pending, and the attempt has failed.
        status=entry.status if entry.retry_at is None else StepStatus.FAILED,
        started_at=entry.started_at,
        finished_at=entry.finished_at,
        output=entry.output,
        error=entry.error,
    )
    begun = (now,) if _has_begun(entry) else ()
    return (_attempt(entry.key, one, shown, is_agent=is_agent) for one in (*entry.attempts, *begun))


def _has_begun(entry: Entry) -> bool:
    """Whether an entry tells of an attempt; one that is to begin anew tells of those before alone."""
    if entry.started_at is not None:
        return True
    told = bool(entry.attempts) and entry.attempts[-1].attempt == entry.attempt
    return bool(entry.attempt) and entry.status.ended and not told


def _unnamed(records: Mapping[str, StepRecord], shown: _Shown) -> Iterator[Step]:
    """Yield what a run has records of, where nobody knows its steps any more; what holds steps is known by them."""
    holding = {part for key in records for part in key.split(".")[:-1]}
    refs = dict.fromkeys(ref_of(key) for key in records)
    # A loop's own step, which ends it, is nobody's.
    ends = {f"{one}_end" for one in holding}
    for ref in refs:
        found = [records[key] for key in sorted(records, key=_in_order) if ref_of(key) == ref]
        if ref not in holding | ends:
            yield Step(
                ref=ref,
                name=ref,
                role=None,
                loop_id=None,
                status=found[-1].status,
                attempts=[
                    _attempt(one.key, made, shown, is_agent=_is_of_agent(one)) for one in found for made in past(one)
                ],
            )


def _in_order(key: str) -> list[tuple[bool, int, str]]:
    """Return what sorts the keys of steps by the times that their loops went round."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in key.split(".")]


def _is_of_agent(record: StepRecord) -> bool:
    return record.wait is not None and record.wait.kind is WaitKind.AGENT


def _attempt(key: str, made: PastAttempt, shown: _Shown, *, is_agent: bool) -> Attempt:
    whole, there = shown.fetch(made.output)
    report: Mapping[str, Json] = whole if is_agent and isinstance(whole, Mapping) and "output" in whole else {}
    output, truncated = shown.part(report["output"] if report else whole)
    loops = key.split(".")
    return Attempt(
        iteration=int(loops[-2]) + 1 if len(loops) > 1 else 1,
        attempt=made.attempt,
        status=made.status,
        started_at=made.started_at,
        finished_at=made.finished_at,
        verdict=_text(report.get("verdict")),
        feedback=_text(shown.part(report.get("feedback"))[0]),
        output=output,
        truncated=truncated or not there,
        error=made.error,
    )


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None
