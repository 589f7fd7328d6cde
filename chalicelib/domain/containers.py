"""What ``loop``, ``race`` and ``try_catch`` make of their blocks.

Each answers the same four questions: opened, through, failed, broken.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain import template
from chalicelib.domain.blocks import Block, Conclusion, Container, Failure
from chalicelib.domain.definition import StepType, block_name, label_of
from chalicelib.domain.step import StepError
from chalicelib.domain.value import Json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from chalicelib.domain.progress import Progress
    from chalicelib.domain.scope import Scope

#: A loop with more iterations fails: each is a record, and a run's records are read whole.
MOST_ITERATIONS = 1000


def opened(progress: Progress, container: Container) -> None:
    """Start what a container starts with."""
    match container.node.spec.type:
        case StepType.LOOP:
            _open_loop(progress, container)
        case StepType.RACE:
            for name in progress.definition.container_blocks[container.node.spec.ref]:
                _start(progress, container, label_of(name))
        case _:
            _start(progress, container, "try")


def through(progress: Progress, container: Container, block: Block) -> None:
    """Go on after a block whose steps have all settled."""
    match container.node.spec.type, label_of(block.name):
        case StepType.LOOP, _:
            container.answers.append(progress.answer_of(block))
            _iterate(progress, container)
        case StepType.RACE, _:
            container.arms.append(block)
        case _, "finally":
            _end_try(progress, container)
        case _:
            container.answers = [progress.answer_of(block)]
            _finally(progress, container)


def failed(progress: Progress, container: Container, block: Block, failure: Failure) -> None:
    """Go on after a block that failed; it has been closed."""
    match container.node.spec.type, label_of(block.name):
        case StepType.LOOP, _:
            _conclude(progress, container, Conclusion(failure=failure.error))
        case StepType.RACE, _:
            container.arms.append(block)
        case _, "try" if _has(progress, container, "catch"):
            _start(progress, container, "catch", names={"error": failure.error.as_json()})
        case _, "finally":
            container.failure = failure
            _end_try(progress, container)
        case _:
            container.failure = failure
            _finally(progress, container)


def broken(progress: Progress, container: Container, block: Block) -> None:
    """End a loop whose running iteration met a ``break``; what that iteration has answered so far counts."""
    answer = progress.answer_of(block)
    if answer is not None and answer != {}:
        container.answers.append(answer)
    _conclude(progress, container, Conclusion(output=container.answers))


def first_arm(progress: Progress, container: Container) -> Conclusion | None:
    """Return what a race has come to: the arm that settled first, by the times on record; None while none has."""
    if not container.arms:
        return None
    winner = min(container.arms, key=lambda arm: (_settled_at(progress, arm), arm.name))
    label = label_of(winner.name)
    if winner.failure is not None:
        return Conclusion(failure=winner.failure.error, branch=label)
    return Conclusion(output={"winner": label, "output": progress.answer_of(winner)}, branch=label)


def _settled_at(progress: Progress, arm: Block) -> datetime:
    if arm.failure is not None:
        return arm.failure.at
    keys = (arm.prefix + ref for ref in progress.definition.blocks[arm.name])
    return max(
        record.finished_at for key in keys if (record := progress.records.get(key)) and record.finished_at is not None
    )


def _open_loop(progress: Progress, container: Container) -> None:
    node = container.node
    config, scope = node.spec.config, progress.scope(node.key)
    try:
        match config["loopType"]:
            case "forEach":
                container.items = _collection(_value(config["collection"], scope))
                container.total = len(container.items)
            case "times":
                container.total = _count(_value(config["count"], scope))
    except (template.TemplateError, ValueError) as error:
        _conclude(progress, container, Conclusion(failure=StepError(code="loop", message=str(error))))
        return
    _iterate(progress, container)


def _iterate(progress: Progress, container: Container) -> None:
    """Start the next iteration, or conclude."""
    node, index = container.node, container.iteration
    try:
        goes_on = index < container.total if container.total is not None else _condition(progress, container)
    except template.TemplateError as error:
        _conclude(progress, container, Conclusion(failure=StepError(code="template", message=str(error))))
        return
    if not goes_on:
        _conclude(progress, container, Conclusion(output=container.answers))
        return
    if index >= MOST_ITERATIONS:
        fault = StepError(code="loop", message=f"the loop has gone round {MOST_ITERATIONS} times, which is the limit")
        _conclude(progress, container, Conclusion(failure=fault))
        return
    config, prefix = node.spec.config, f"{node.key}.{index}."
    item = container.items[index] if container.items else None
    names = {"item": item, "index": index, str(config["itemVar"]): item, str(config["indexVar"]): index}
    container.iteration += 1
    loops = (*node.block.loops, (node.spec.ref, prefix))
    _start(progress, container, "body", names=names, prefix=prefix, loops=loops)


def _condition(progress: Progress, container: Container) -> bool:
    """Return whether a ``while`` goes on.

    Its condition sees the last iteration's steps, and null for them before the first.
    """
    last = container.blocks[0] if container.blocks else None
    scope = progress.scope_in(last) if last else progress.scope(container.node.key)
    return template.truthy(template.evaluate(str(container.node.spec.config["condition"]), scope))


def _finally(progress: Progress, container: Container) -> None:
    if _has(progress, container, "finally"):
        _start(progress, container, "finally")
    else:
        _end_try(progress, container)


def _end_try(progress: Progress, container: Container) -> None:
    if container.failure is not None:
        _conclude(progress, container, Conclusion(failure=container.failure.error))
    else:
        _conclude(progress, container, Conclusion(output=container.answers[0] if container.answers else None))


def _has(progress: Progress, container: Container, label: str) -> bool:
    return block_name(container.node.spec.ref, label) in progress.definition.blocks


def _start(
    progress: Progress,
    container: Container,
    label: str,
    *,
    names: Mapping[str, Json] | None = None,
    prefix: str | None = None,
    loops: tuple[tuple[str, str], ...] | None = None,
) -> None:
    node = container.node
    name = block_name(node.spec.ref, label)
    block = Block(
        name=name,
        prefix=node.block.prefix if prefix is None else prefix,
        owner=node.key,
        remaining=len(progress.definition.blocks[name]),
        outer=node.block,
        loops=node.block.loops if loops is None else loops,
        names=names or {},
    )
    if node.spec.type is StepType.RACE:
        container.blocks.append(block)
    else:
        container.blocks = [block]
    progress.start_block(block)


def _conclude(progress: Progress, container: Container, conclusion: Conclusion) -> None:
    """Say what a container has come to; the engine records it."""
    error = conclusion.failure
    if error is not None and error.step is None:
        conclusion = replace(conclusion, failure=replace(error, step=container.node.key))
    progress.conclusions[container.node.key] = conclusion


def _value(configured: Json, scope: Scope) -> Json:
    """Return what a field means that may be a template, a bare expression, or the value itself."""
    if isinstance(configured, str) and "{{" not in configured:
        return template.evaluate(configured, scope)
    return template.render(configured, scope)


def _collection(value: Json) -> tuple[Json, ...]:
    if not isinstance(value, list | tuple):
        message = f"the collection is {_kind(value)}, not a list"
        raise ValueError(message)  # noqa: TRY004 - the value comes from a template: a wrong value, not a wrong call
    if len(value) > MOST_ITERATIONS:
        message = f"the collection has {len(value)} items; the limit is {MOST_ITERATIONS}"
        raise ValueError(message)
    return tuple(value)


def _count(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_ITERATIONS:
        shown = value if isinstance(value, int | float) and not isinstance(value, bool) else _kind(value)
        message = f"the count is {shown}, not a whole number from 0 to {MOST_ITERATIONS}"
        raise ValueError(message)
    return value


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case _:
            return "a list" if isinstance(value, list | tuple) else "an object"
