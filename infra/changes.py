"""Change sets: what CloudFormation would do to a stack, shown, done or dropped."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from mypy_boto3_cloudformation.type_defs import ParameterTypeDef

from infra import stacks
from infra.release import KEPT
from infra.stacks import Aws
from infra.trouble import Trouble, code_of, explained, message_of, one_line

#: How long to wait before asking CloudFormation again.
POLL_SECONDS = 2.0
#: A stack that a change set was made for, and none was carried out yet.
REVIEW: Final = "REVIEW_IN_PROGRESS"

_NOTHING: Final = ("didn't contain changes", "No updates are to be performed")
#: How CloudFormation says that the stack is no longer what the change set was made for.
_OVERTAKEN: Final = frozenset(
    {
        "InvalidChangeSetStatus",
        "InvalidChangeSetStatusException",
        "ChangeSetNotFound",
        "ChangeSetNotFoundException",
    }
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """What would be done to one resource."""

    #: CloudFormation's word: ``Add``, ``Modify``, ``Remove``, ``Import``, …
    action: str
    logical_id: str
    type: str
    #: ``True``, ``False``, ``Conditional``; empty for what is new or goes.
    replacement: str
    #: Which of its attributes change: ``Properties``, ``Tags``, …
    scope: Sequence[str]

    @property
    def loses_data(self) -> bool:
        """Whether table or bucket would be another one than before, or none."""
        return self.logical_id in KEPT and (self.action == "Remove" or self.replacement == "True")


@dataclass(frozen=True, kw_only=True)
class ChangeSet:
    """A change set that can be carried out."""

    #: Its ARN.
    id: str
    stack_id: str
    stack_name: str
    changes: Sequence[Change]


def propose(
    aws: Aws,
    name: str,
    *,
    creating: bool,
    template_url: str,
    parameters: Sequence[ParameterTypeDef],
    tags: Mapping[str, str],
) -> ChangeSet | None:
    """Return what the template would change in the stack, once CloudFormation has found out; None if nothing.

    Trouble if it finds fault; then, and if it finds nothing to change, the change set is gone again. A change set
    changes nothing by itself, and has a name of its own: two who make one each disturb nobody.
    """
    unique = f"deploy-{secrets.token_hex(8)}"
    with explained(f"propose the changes of {name}"):
        made = aws.cloudformation.create_change_set(
            StackName=name,
            ChangeSetName=unique,
            # Tried again after an answer that was lost, it is one and the same request.
            ClientToken=unique,
            ChangeSetType="CREATE" if creating else "UPDATE",
            TemplateURL=template_url,
            Parameters=parameters,
            # The template's roles have no names of their own; and SAM's transform needs no leave in a change set.
            Capabilities=["CAPABILITY_IAM"],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            # Table and bucket of a stack that was destroyed belong to it again.
            ImportExistingResources=True,
        )
    change_set = ChangeSet(id=made["Id"], stack_id=made["StackId"], stack_name=name, changes=())
    try:
        fault = _wait(aws, change_set)
        if fault is None:
            return ChangeSet(
                id=change_set.id, stack_id=change_set.stack_id, stack_name=name, changes=tuple(_read(aws, change_set))
            )
        nothing = any(sign in fault for sign in _NOTHING)
        told = "" if nothing else _told(aws, change_set, fault)
    except BaseException:
        discard(aws, change_set)
        raise
    discard(aws, change_set)
    if nothing:
        return None
    raise Trouble(f"CloudFormation does not take the changes of {name}: {told}")


def discard(aws: Aws, change_set: ChangeSet) -> None:
    """Delete the change set, and the stack if there never was more of it than change sets.

    Should somebody carry out one of their own in that moment, their creation ends as a deletion, before it has data.
    """
    with explained(f"delete the change set of {change_set.stack_name}"):
        try:
            aws.cloudformation.delete_change_set(ChangeSetName=change_set.id)
        except ClientError as error:
            if code_of(error) not in _OVERTAKEN:
                raise
    stack = stacks.find(aws, change_set.stack_id)
    if stack is None or stack.status != REVIEW or _others(aws, change_set):
        return
    with explained(f"delete the empty stack {change_set.stack_name}"):
        aws.cloudformation.delete_stack(StackName=change_set.stack_id)
    while (stack := stacks.find(aws, change_set.stack_id)) is not None and stack.status != "DELETE_COMPLETE":
        time.sleep(POLL_SECONDS)


def execute(aws: Aws, change_set: ChangeSet) -> None:
    """Begin to carry it out. CloudFormation does one at a time: whoever comes second is told so."""
    with explained(f"change {change_set.stack_name}"):
        try:
            # As above.
            aws.cloudformation.execute_change_set(
                ChangeSetName=change_set.id, ClientRequestToken=f"deploy-{secrets.token_hex(16)}"
            )
        except ClientError as error:
            if code_of(error) in _OVERTAKEN or "IN_PROGRESS" in message_of(error):
                raise Trouble(under_way(change_set.stack_name)) from error
            raise


def under_way(name: str, status: str = "") -> str:
    """Return what whoever comes second is told."""
    said = f" ({status})" if status else ""
    return f"somebody else is changing {name} just now{said}: run it again when that has ended"


def table(changes: Sequence[Change]) -> Iterator[str]:
    """Yield a line for each change, below a head."""
    rows = [("action", "resource", "type", "replacement", "scope")]
    rows += [(each.action, each.logical_id, each.type, each.replacement, ", ".join(each.scope)) for each in changes]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _wait(aws: Aws, change_set: ChangeSet) -> str | None:
    """Return None once the change set is made, or why it cannot be."""
    while True:
        with explained(f"read the changes of {change_set.stack_name}"):
            found = aws.cloudformation.describe_change_set(ChangeSetName=change_set.id)
        if found["Status"] == "CREATE_COMPLETE":
            return None
        if found["Status"] == "FAILED":
            return one_line(found.get("StatusReason", "it does not say why"))
        time.sleep(POLL_SECONDS)


def _read(aws: Aws, change_set: ChangeSet) -> Iterator[Change]:
    with explained(f"read the changes of {change_set.stack_name}"):
        pages = aws.cloudformation.get_paginator("describe_change_set").paginate(ChangeSetName=change_set.id)
        for page in pages:
            for each in page.get("Changes", []):
                found: Mapping[str, Any] = each["ResourceChange"]
                yield Change(
                    action=found["Action"],
                    logical_id=found["LogicalResourceId"],
                    type=found["ResourceType"],
                    replacement=found.get("Replacement", ""),
                    scope=tuple(found.get("Scope", ())),
                )


def _told(aws: Aws, change_set: ChangeSet, fault: str) -> str:
    """Return the fault with what CloudFormation found before it would change anything, where it says more there."""
    try:
        events = aws.cloudformation.describe_events(ChangeSetName=change_set.id, Filters={"FailedEvents": True})
    except (ClientError, BotoCoreError):
        # Whoever may not ask for more has the fault alone.
        return fault
    details = [
        f"{event.get('LogicalResourceId', 'the stack')}: {one_line(event['ValidationStatusReason'])}"
        for event in events["OperationEvents"]
        if event.get("ValidationStatusReason") and event.get("ValidationFailureMode") != "WARN"
    ]
    return "; ".join(details) or fault


def _others(aws: Aws, change_set: ChangeSet) -> bool:
    with explained(f"list the change sets of {change_set.stack_name}"):
        pages = aws.cloudformation.get_paginator("list_change_sets").paginate(StackName=change_set.stack_id)
        return any(
            each["ChangeSetId"] != change_set.id and each["Status"] != "FAILED"
            for page in pages
            for each in page["Summaries"]
        )
