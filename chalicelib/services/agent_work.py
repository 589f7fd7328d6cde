"""The work document: all that an agent is told of what it is to do, as one JSON text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from chalicelib.domain import agent_checks as check
from chalicelib.domain.definition import StepType
from chalicelib.domain.graph_problems import Place
from chalicelib.domain.persona import Role
from chalicelib.domain.refusal import Invalid
from chalicelib.domain.step import StepRecord, StepStatus
from chalicelib.domain.value import Json, dumps, resolved
from chalicelib.gateways.errors import CallFailed
from chalicelib.services.agent_setup import Setup, snapshots
from chalicelib.services.executors.call import StepCall
from chalicelib.services.values import LARGEST_OUTPUT_BYTES

#: Of the document.
VERSION: Final = 1
#: A document is no longer, in bytes.
LARGEST: Final = 5 * 1024 * 1024


def document(call: StepCall, setup: Setup) -> str:
    """Return the work document of a step; ``ValueError`` names the field that cannot be.

    ``CallFailed`` ``image_unavailable`` names an image that is no ready file of the project, ``work_too_large`` says
    that the steps before have answered more than an agent can be told.
    """
    iteration = _iteration(call)
    text = dumps(
        {
            "version": VERSION,
            "runId": call.run.id,
            "runNumber": call.run.number,
            "workflowId": call.run.workflow_id,
            "step": call.spec.ref,
            "role": setup.role.value,
            "attempt": call.claim.attempt,
            "iteration": iteration,
            "maxIterations": _most_iterations(call),
            "prompt": call.text("prompt"),
            "instructions": setup.instructions,
            "repository": _repository(call),
            "agent": {
                "cliId": setup.cli_id.value,
                "model": setup.model,
                "thinkingEffort": setup.thinking_effort,
            },
            "limits": {
                "timeoutMs": int(setup.timeout.total_seconds() * 1000),
                "memoryMb": setup.memory_mb,
                "cpuCount": setup.cpu_count,
                "maxReportBytes": LARGEST_OUTPUT_BYTES,
            },
            "images": _images(call),
            "outputs": [_output(call, *found) for found in _done_before(call)],
            "feedback": list(_feedback(call, iteration)),
        },
    )
    size = len(text.encode())
    if size > LARGEST:
        message = f"the work document is {size} bytes; the limit is {LARGEST}: the steps before have answered too much"
        raise CallFailed("work_too_large", message, retryable=False)
    return text


def _iteration(call: StepCall) -> int:
    """Return which time round this is, from 1, of the nearest loop around the step."""
    loops = call.scope.block.loops
    return int(loops[-1][1].removesuffix(".").rsplit(".", 1)[-1]) + 1 if loops else 1


def _most_iterations(call: StepCall) -> Json:
    """Return how often the nearest loop around the step goes round at most; null where that is not a number yet."""
    loops = call.scope.block.loops
    if not loops:
        return 1
    count = call.scope.definition.steps[loops[-1][0]].config.get("count")
    return count if isinstance(count, int) else None


def _repository(call: StepCall) -> Json:
    url, branch = call.config.get("repository"), call.config.get("branchName")
    place = Place()
    if url is None:
        return None
    if not isinstance(url, str) or not check.is_repository(url):
        # Nothing is rendered any more: what looks like a template is none.
        place.at("repository").refuse(check.REPOSITORY_RULE)
    if branch is not None:
        check.branch_name(branch, place.at("branchName"))
    for fault in place.details:
        message = f"{fault.path}: {fault.message}"
        raise ValueError(message)
    return {"url": url, "branchName": branch}


def _images(call: StepCall) -> list[Json]:
    given = call.config.get("images")
    if not given:
        return []
    place = Place()
    check.images(given, place.at("images"))
    if place.details or not isinstance(given, list | tuple) or len(given) > check.MOST_IMAGES:
        message = f"images: {place.details[0].message if place.details else 'this must be a list'}"
        raise ValueError(message)
    from chalicelib.services import files  # noqa: PLC0415 - loaded with the first step that has images

    try:
        ready = files.ready_images(call.run.project_id, [str(one) for one in given])
    except Invalid as refused:
        message = refused.details[0].message if refused.details else refused.message
        raise CallFailed("image_unavailable", f"images: {message}", retryable=False) from None
    return [
        {
            "storageId": file.id,
            "fileName": file.name,
            "contentType": file.content_type,
            "size": file.size,
            "url": files.url_of(file),
        }
        for file in ready
    ]


def _done_before(call: StepCall) -> Iterator[tuple[str, int, StepRecord]]:
    """Yield the steps before this one that have completed, by ref, with their latest iteration and its record.

    In a loop, the steps of the iteration before count too, this one included: an agent sees what it made itself.
    """
    before = call.spec.config.get("before")
    refs = [str(ref) for ref in before] if isinstance(before, Sequence) else []
    for ref in dict.fromkeys([*refs, *_of_loop(call)]):
        found = [one for one in _instances(call, ref) if one[2].status is StepStatus.COMPLETED]
        if found:
            yield found[-1]


def _feedback(call: StepCall, iteration: int) -> Iterator[Json]:
    """Yield what the steps of this loop said in the iteration before."""
    for ref in _of_loop(call):
        for _, at, record in _instances(call, ref):
            if at != iteration - 1 or record.status is not StepStatus.COMPLETED:
                continue
            said = _said(call, record)
            if said["verdict"] or said["feedback"]:
                yield {"step": ref, "iteration": at, "verdict": said["verdict"], "feedback": said["feedback"]}


def _of_loop(call: StepCall) -> list[str]:
    """Return the agent steps of the loop's body that this step stands in; none outside of loops."""
    definition, block = call.scope.definition, call.scope.block
    if not block.loops:
        return []
    return [ref for ref in definition.blocks[block.name] if definition.steps[ref].type is StepType.AGENT]


def _instances(call: StepCall, ref: str) -> Iterator[tuple[str, int, StepRecord]]:
    """Yield a step's records in order: one for each iteration of the nearest loop around it, from 1."""
    definition, records = call.scope.definition, call.scope.records
    loops, here = definition.loops_around(ref), call.scope.block.loops
    if not loops:
        if ref in records:
            yield ref, 1, records[ref]
        return
    outer = here[len(loops) - 2][1] if len(loops) > 1 and len(here) >= len(loops) - 1 else ""
    before, after = f"{outer}{loops[-1]}.", f".{ref}"
    between = (key[len(before) : -len(after)] for key in records if key.startswith(before) and key.endswith(after))
    # A step that a branch has passed by, or nobody has come to yet, has no record of that time round.
    for index in sorted(int(text) for text in between if text.isdigit()):
        yield ref, index + 1, records[f"{before}{index}{after}"]


def _output(call: StepCall, ref: str, iteration: int, record: StepRecord) -> Json:
    return {"step": ref, "role": _role_of(call, ref), "iteration": iteration, **_said(call, record)}


def _said(call: StepCall, record: StepRecord) -> dict[str, Json]:
    """Return what a step answered: an agent's report, or whatever else its output was made."""
    output = resolved(record.output, call.scope.resolve)
    report: Mapping[str, Json] = output if isinstance(output, Mapping) and "output" in output else {"output": output}
    return {name: report.get(name) for name in ("output", "verdict", "feedback")}


def _role_of(call: StepCall, ref: str) -> str:
    """Return a step's role: its own, or its persona's as the run was started with it."""
    config = call.scope.definition.steps[ref].config
    persona = snapshots(call).get(str(config.get("personaId")))
    role = config.get("role") or (persona.get("type") if isinstance(persona, Mapping) else None)
    return str(role or Role.CUSTOM)
