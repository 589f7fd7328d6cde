"""`make destroy`: takes a stage's stack down, and says what of it is kept and how to be rid of that too."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from infra import changes, command_line, parameters, progress, stacks, template
from infra.progress import Event
from infra.stacks import Aws, Stack
from infra.trouble import Trouble, explained, run

_KNOWN: Final = ("STAGE", "CONFIRM")

#: The command that removes for good what was kept, by its type. Python's, since that is what a deployment needs anyway.
#: A bucket with versions goes version by version; a table is protected until it is not.
REMOVAL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AWS::DynamoDB::Table": (
            "import boto3; t = boto3.resource('dynamodb', '{region}').Table('{name}'); "
            "t.update(DeletionProtectionEnabled=False); t.delete()"
        ),
        "AWS::S3::Bucket": (
            "import boto3; b = boto3.resource('s3', '{region}').Bucket('{name}'); "
            "b.object_versions.delete(); b.delete()"
        ),
        "AWS::SSM::Parameter": "import boto3; boto3.client('ssm', '{region}').delete_parameter(Name='{name}')",
    }
)


def destroy(given: Mapping[str, str]) -> None:
    """Delete the stack, once the stage's name was said twice."""
    stage = given.get("STAGE", "")
    name = stacks.name_of(stage)
    confirmed = given.get("CONFIRM")
    if confirmed not in {None, stage}:
        raise Trouble(f"CONFIRM={command_line.shown(confirmed or '')} is not STAGE={stage}, and nothing was deleted")
    aws = Aws.of_caller()
    stack = stacks.find(aws, name)
    if stack is None:
        raise Trouble(f"there is no stack {name} in {aws.region}: nothing to destroy")
    if stack.status.endswith("_IN_PROGRESS") and stack.status != changes.REVIEW:
        raise Trouble(changes.under_way(name, stack.status))
    if confirmed is None:
        _confirm(stage, name, aws.region)
    kept = _delete(aws, stack)
    _tell(aws, stack, stage, kept)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if the stack is gone."""
    words = sys.argv[1:] if arguments is None else arguments
    return run("make destroy", lambda: destroy(command_line.read(words, known=_KNOWN)))


def _confirm(stage: str, name: str, region: str) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise Trouble(f"nobody is here to confirm it: CONFIRM={stage} does, and nothing was deleted")
    print(f"This takes down {name} in {region}: its API answers no more, and its runs stand still. Its data is kept.")
    try:
        said = input("The stage's name, to confirm: ")
    except (EOFError, UnicodeDecodeError):
        said = ""
    if said.strip() != stage:
        raise Trouble(f"that is not {stage}, and nothing was deleted")


def _delete(aws: Aws, stack: Stack) -> Sequence[Event]:
    """Delete the stack; return what CloudFormation left where it was. A second deletion meanwhile changes nothing."""
    after = progress.newest(aws, stack.id)
    with explained(f"delete the stack {stack.name}"):
        aws.cloudformation.delete_stack(StackName=stack.id)
    print(f"deleting {stack.name}", flush=True)
    _release(aws, stack)
    status, events = progress.follow(aws, stack.id, after=after, meanwhile=lambda: _release(aws, stack))
    if status != "DELETE_COMPLETE":
        raise Trouble(f"{stack.name} is {status}: {progress.first_cause(events)}, then run make destroy again")
    return [event for event in events if event.status == "DELETE_SKIPPED"]


def _release(aws: Aws, stack: Stack) -> None:
    """End the executions that hold runs: Step Functions lets a state machine go when it has none, and they last a year.

    Nothing is lost with one: a run waits by its record, and a stack that is made again has it looked at. An execution
    that has ended meanwhile stays as it ended; one that begins meanwhile is found the next time.
    """
    park = stack.outputs.get("ParkStateMachineArn")
    if not park:
        return
    client = aws.stepfunctions
    with explained("end the executions that hold waiting runs"):
        try:
            pages = client.get_paginator("list_executions").paginate(stateMachineArn=park, statusFilter="RUNNING")
            held = [each["executionArn"] for page in pages for each in page["executions"]]
            for execution in held:
                client.stop_execution(executionArn=execution, cause="the stack is destroyed")
        except (client.exceptions.StateMachineDoesNotExist, client.exceptions.ExecutionDoesNotExist):
            return


def _tell(aws: Aws, stack: Stack, stage: str, kept: Sequence[Event]) -> None:
    print(f"\n{stack.name} is gone from {aws.region}.")
    names = {event.physical_id: event.type for event in kept if event.type in REMOVAL}
    if _has_pepper(aws, stack.name):
        names[stacks.pepper_name(stack.name)] = "AWS::SSM::Parameter"
    if not names:
        return
    print("These are kept, and what makes the stack again takes them over, data, keys and all:\n")
    for name, type_ in names.items():
        print(f"  {name} ({type_})")
    print(f"\n{_again(stack, stage)}\n\nWhat follows removes them for good:\n")
    for name, type_ in names.items():
        print(f'.venv/bin/python -c "{REMOVAL[type_].format(name=name, region=aws.region)}"')


def _has_pepper(aws: Aws, name: str) -> bool:
    try:
        return stacks.find_pepper(aws, name) is not None
    except Trouble:
        # Whoever may not read it can be told all the same that it is there: nothing here takes it away.
        return True


def _again(stack: Stack, stage: str) -> str:
    """Return the command that makes the stack again as it was."""
    declared = template.load()["Parameters"]
    changed = {
        name: value
        for name, value in stack.parameters.items()
        if name != parameters.PEPPER and name in declared and value != str(declared[name].get("Default"))
    }
    if not changed:
        return f"make deploy STAGE={stage}"
    words = " ".join(f"{name}={shlex.quote(value)}" for name, value in changed.items())
    return f"make deploy STAGE={stage} PARAMETERS={shlex.quote(words)}"


if __name__ == "__main__":
    sys.exit(main())
