"""`make deploy`: brings a stage's stack to what this checkout is, with the caller's own permissions, or not at all.

All that can be refused without asking AWS is refused before it is asked. Of the change itself, CloudFormation does all
or rolls all back; a first creation that fails is taken away whole.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from infra import (
    changes,
    command_line,
    keys,
    leftovers,
    package,
    parameters,
    progress,
    release,
    runtimes,
    stacks,
    template,
)
from infra.changes import ChangeSet
from infra.deployments import Deployments
from infra.release import Release
from infra.stacks import Aws, Stack
from infra.trouble import Trouble, run

#: What a person reads once it is deployed; its commands work when they are pasted.
READY: Final = """
{name} is deployed: {url}

# is it there?
curl -s {url}/healthz
"""
FIRST_KEY: Final = """
Its first key, in the project {project}, with every scope. It is shown this once:

export URL={url} KEY={key}

# make a workflow
curl -s $URL/api/workflows -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -d '{{"name": "hello", "kind": "workflow"}}'
"""
_KNOWN: Final = ("STAGE", "PLAN", "PARAMETERS")
#: Statuses from which a stack can be changed.
_STANDING: Final = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
)
#: Statuses in which a change has come about.
_DONE: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
#: Of a first creation that failed, where whoever deployed went away before it was cleared up.
_STILLBORN: Final = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"})
_CALL: Final = (
    ".venv/bin/python -c \"import boto3; boto3.client('cloudformation', '{{region}}').{call}(StackName='{{name}}')\""
)
#: What to do first about a stack in another status.
_FIRST: Final[Mapping[str, str]] = MappingProxyType(
    {
        "UPDATE_ROLLBACK_FAILED": _CALL.format(call="continue_update_rollback"),
        "UPDATE_FAILED": _CALL.format(call="rollback_stack"),
        "DELETE_FAILED": "make destroy STAGE={stage}",
    }
)
#: How long a stack's pepper is; a plan hands in one that nobody keeps.
_PEPPER_BYTES: Final = 32


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a person asks for, found good."""

    stage: str
    name: str
    parameters: Mapping[str, str]
    #: Only show it.
    plan: bool


def read(arguments: Sequence[str]) -> Order:
    """Return the order in the words of make's command line; Trouble for what is wrong with it. It asks nobody."""
    given = command_line.read(arguments, known=_KNOWN)
    name = stacks.name_of(given.get("STAGE", ""))
    if given.get("PLAN", "0") not in {"0", "1"}:
        raise Trouble(f"PLAN={command_line.shown(given['PLAN'])}: PLAN=1 shows what would change")
    check_runtime(runtimes.ours())
    declared = template.load()["Parameters"]
    return Order(
        stage=given["STAGE"],
        name=name,
        parameters=parameters.read(given.get("PARAMETERS", ""), declared),
        plan=given.get("PLAN") == "1",
    )


def deploy(order: Order, aws: Aws) -> None:
    """Do it, and tell how it goes."""
    bucket = Deployments.of_caller(aws)
    before = _before(order, aws)
    with tempfile.TemporaryDirectory() as folder:
        packaged = _package(Path(folder), order.stage)
        made = release.prepare(
            packaged, stack_name=order.name, account=bucket.account, region=aws.region, bucket=bucket.name
        )
    if order.plan:
        _plan(order, aws, before, bucket, made)
        return
    stack = _change(order, aws, before, bucket, made)
    _prune(bucket, order, made)
    _tell(stack)
    _give_first_key(aws, stack, order)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if the stack is as this checkout is, or as it would be was shown."""
    words = sys.argv[1:] if arguments is None else arguments
    return run("make deploy", lambda: deploy(read(words), Aws.of_caller()))


def check_runtime(ours: str) -> None:
    """Refuse a Python that Lambda does not run: Chalice writes the running one into the template."""
    offered = runtimes.offered()
    if ours not in offered:
        raise Trouble(f"Lambda runs {', '.join(offered)}, not {ours}: make clean, then make deploy PYTHON=/path/to/one")


def _before(order: Order, aws: Aws) -> Stack | None:
    """Return the stack as it stands; None where it is yet to be created. Trouble where it cannot be changed now."""
    stack = stacks.find(aws, order.name)
    if stack is None or stack.status == changes.REVIEW:
        return None
    if stack.status in _STANDING:
        return stack
    if stack.status in _STILLBORN:
        if order.plan:
            raise Trouble(f"the creation of {order.name} failed: make deploy takes away what is left and tries again")
        print(f"{order.name} was never created whole ({stack.status}): taking away what is left", flush=True)
        leftovers.remove_failed_creation(aws, stack.id, order.name)
        return None
    if stack.status.endswith("_IN_PROGRESS"):
        raise Trouble(changes.under_way(order.name, stack.status))
    raise Trouble(f"{order.name} cannot be changed: {_stuck(order, aws, stack.status)}")


def _package(folder: Path, stage: str) -> Path:
    print("packaging", flush=True)
    try:
        packaged = package.package(folder, stage=stage)
        package.check(packaged)
    except package.BadTemplate as bad:
        raise Trouble(f"the template would not deploy: {bad}") from bad
    return packaged


def _propose(
    order: Order, aws: Aws, before: Stack | None, bucket: Deployments, made: Release, *, pepper: str | None
) -> ChangeSet | None:
    return changes.propose(
        aws,
        order.name,
        creating=before is None,
        template_url=bucket.url(made.template_key),
        parameters=parameters.submitted(
            made.parameters, order.parameters, before=before.parameters if before else {}, pepper=pepper
        ),
        tags={"stepwell-stage": order.stage},
    )


def _plan(order: Order, aws: Aws, before: Stack | None, bucket: Deployments, made: Release) -> None:
    """Show what would change, and leave nothing of the asking behind."""
    new_bucket = bucket.ensure()
    new_template = not bucket.holds(made.template_key)
    try:
        if new_template:
            bucket.put(made.template_key, made.template)
        # A stack keeps its own; for one that is not there yet, any will do, since it is never created with it.
        pepper = secrets.token_hex(_PEPPER_BYTES) if before is None else None
        proposed = _propose(order, aws, before, bucket, made, pepper=pepper)
        if proposed is not None:
            changes.discard(aws, proposed)
    finally:
        if new_template:
            bucket.remove(made.template_key)
        if new_bucket:
            bucket.remove_bucket()
    if proposed is None:
        print(f"{order.name}: nothing to change")
        return
    for line in changes.table(proposed.changes):
        print(line)
    _warn_of_loss(proposed)
    print(f"\n{order.name}: {len(proposed.changes)} changes, none of them made")


def _change(order: Order, aws: Aws, before: Stack | None, bucket: Deployments, made: Release) -> Stack:
    """Return the stack once it is what the release is."""
    bucket.ensure()
    for key, content in ((made.code_key, made.code), (made.template_key, made.template)):
        if not bucket.holds(key):
            print(f"uploading {key.rpartition('.')[2]}, {len(content) / 1e6:.1f} MB", flush=True)
            bucket.put(key, content)
    pepper = stacks.ensure_pepper(aws, order.name)
    proposed = _propose(order, aws, before, bucket, made, pepper=pepper)
    if proposed is None:
        print(f"{order.name}: nothing to change")
        return stacks.load(aws, order.name)
    try:
        _refuse_loss(proposed)
        after = progress.newest(aws, proposed.stack_id)
        changes.execute(aws, proposed)
    except BaseException:
        changes.discard(aws, proposed)
        raise
    verb = "creating" if before is None else "changing"
    print(f"{verb} {order.name}: {len(proposed.changes)} resources", flush=True)
    status, events = progress.follow(aws, proposed.stack_id, after=after)
    if status not in _DONE:
        cause = progress.first_cause(events, secret=pepper)
        raise Trouble(_undone(order, aws, proposed.stack_id, status, cause))
    return stacks.load(aws, order.name)


def _undone(order: Order, aws: Aws, stack_id: str, status: str, cause: str) -> str:
    """Have nothing left of a change that failed; return what there is to say of it."""
    if status in _STILLBORN:
        try:
            leftovers.remove_failed_creation(aws, stack_id, order.name)
        except Trouble as trouble:
            return f"{order.name} could not be created: {cause}; the next make deploy takes away the rest ({trouble})"
        return f"{order.name} could not be created: {cause}; nothing is left of it"
    if status == "UPDATE_ROLLBACK_COMPLETE":
        return f"{order.name} could not be changed: {cause}; it is as it was"
    return f"{order.name} could not be changed: {cause}; {_stuck(order, aws, status)}"


def _stuck(order: Order, aws: Aws, status: str) -> str:
    first = _FIRST.get(status, "look at it in CloudFormation's console")
    told = first.format(name=order.name, region=aws.region, stage=order.stage)
    return f"it is {status}: {told} comes before all else"


def _refuse_loss(proposed: ChangeSet) -> None:
    if _warn_of_loss(proposed):
        raise Trouble(f"{proposed.stack_name} would lose data: nothing was changed")


def _warn_of_loss(proposed: ChangeSet) -> bool:
    """Say what would become of table and bucket; return whether one would be lost."""
    for each in proposed.changes:
        if each.loses_data:
            verb = "remove" if each.action == "Remove" else "replace"
            print(f"this would {verb} {each.logical_id}, which holds {proposed.stack_name}'s data", file=sys.stderr)
        elif each.logical_id in release.KEPT and each.replacement == "Conditional":
            # It goes by a name of ours, and CloudFormation replaces nothing by another of the same name: it rolls back.
            print(f"{each.logical_id} may not let itself be changed so; if not, all stays as it is", file=sys.stderr)
    return any(each.loses_data for each in proposed.changes)


def _prune(bucket: Deployments, order: Order, made: Release) -> None:
    try:
        bucket.prune(order.name, keep={made.code_key, made.template_key})
    except Trouble as trouble:
        # What is left over takes room and nothing else.
        print(f"make deploy: earlier packages are kept for now: {trouble}", file=sys.stderr)


def _tell(stack: Stack) -> None:
    print(READY.format(name=stack.name, url=stack.output("Url")), flush=True)
    if stack.outputs.get("DashboardUrl"):
        print(f"# how it fares\n{stack.outputs['DashboardUrl']}\n", flush=True)


def _give_first_key(aws: Aws, stack: Stack, order: Order) -> None:
    try:
        key = keys.first(aws, stack)
    except Trouble as trouble:
        command = f'make key STAGE={order.stage} NAME={keys.FIRST_KEY} SCOPES="…"'
        print(f"make deploy: it has no API key yet, which {command} makes: {trouble}", file=sys.stderr)
        return
    if key is not None:
        print(FIRST_KEY.format(project=keys.DEFAULT_PROJECT, url=stack.output("Url"), key=key), flush=True)


if __name__ == "__main__":
    sys.exit(main())
