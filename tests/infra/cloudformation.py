"""A CloudFormation before moto's: change sets of SAM templates, adoption, a course of events, and failures on demand.

moto builds what it can of a stack (`buildable`); this says of the rest that it was built. It answers in the caller's
own process, where botocore would send a request, so that what botocore refuses to send is refused here too.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlparse

import boto3
from botocore.exceptions import ClientError

from infra.local.aws import ACCOUNT, REGION
from infra.local.cloudformation import buildable
from tests.infra.templates import (
    NAMED,
    Refused,
    given,
    names_iam,
    names_in,
    transformed,
    without_adopted,
    without_unbuilt,
)

_numbers = itertools.count(1)


@dataclass
class FakeStack:
    """A stack as CloudFormation knows it."""

    id: str
    name: str
    status: str = "REVIEW_IN_PROGRESS"
    document: Mapping[str, Any] = field(default_factory=lambda: {"Resources": {}, "Outputs": {}, "Parameters": {}})
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    adopted: frozenset[str] = frozenset()
    events: list[dict[str, Any]] = field(default_factory=list)
    #: How often it does not tell yet how it ended.
    still: int = 0


@dataclass
class FakeChangeSet:
    """What is to become of a stack."""

    id: str
    stack: FakeStack
    creating: bool
    document: Mapping[str, Any]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    changes: Sequence[Mapping[str, Any]]
    status: str = "CREATE_COMPLETE"
    reason: str = ""


class CloudFormation:
    """It takes what its tests set: faults, and how often it is asked before it is done."""

    def __init__(self, url: str) -> None:
        session = boto3.Session()
        #: moto's clients, which nothing stands before.
        self._client = functools.cache(functools.partial(session.client, endpoint_url=url))
        self.stacks: dict[str, FakeStack] = {}
        self.change_sets: dict[str, FakeChangeSet] = {}
        #: Why a resource can be neither created nor changed, by its logical id.
        self.failing: dict[str, str] = {}
        #: The same, for deleting.
        self.undeletable: dict[str, str] = {}
        #: Whether an update that failed cannot be rolled back.
        self.stuck = False
        #: What is found before anything is changed: a resource and why.
        self.invalid: tuple[str, str] | None = None
        #: What comes with the next change of every stack: `Replace` or `Remove`, and of which resource.
        self.losing: tuple[str, str] | None = None
        #: How often a stack says that it is at it before it is done.
        self.polls = 1
        #: The operations, of any service, that the caller has no permission for.
        self.denied: set[str] = set()
        #: The operations of any service that were asked for, in order.
        self.asked: list[str] = []
        #: What each change set was asked for with.
        self.requests: list[Mapping[str, Any]] = []

    def attach(self, session: boto3.Session) -> None:
        """Answer all calls to CloudFormation of clients that the session makes from now on.

        Of those, the ones that go elsewhere are noted, and what is denied is denied.
        """
        # A handler's answer is taken for the service's, which botocore's types do not say.
        session.events.register("before-call", self._note)  # type: ignore[arg-type]
        session.events.register("provide-client-params.cloudformation", self._remember)
        session.events.register("before-call.cloudformation", self._answer)  # type: ignore[arg-type]

    def live(self, name: str) -> FakeStack | None:
        """Return the stack of that name, or id, that is not deleted."""
        found = (each for each in self.stacks.values() if name in {each.name, each.id})
        return next((each for each in found if each.status != "DELETE_COMPLETE"), None)

    def _remember(self, params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["asked"] = params

    def _note(self, model: Any, **_: Any) -> tuple[Any, Mapping[str, Any]] | None:
        self.asked.append(model.name)
        if model.name not in self.denied:
            return None
        # S3 answers a HEAD without a body.
        code = "403" if model.name.startswith("Head") else "AccessDenied"
        error = {"Error": {"Code": code, "Message": "not authorized"}, "ResponseMetadata": {}}
        return SimpleNamespace(status_code=403, headers={}), error

    def _answer(self, model: Any, context: Mapping[str, Any], **_: Any) -> tuple[Any, Mapping[str, Any]]:
        # botocore asks the handler for one service first, and then nobody else.
        denied = self._note(model)
        if denied is not None:
            return denied
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", model.name).lower()
        try:
            answer = getattr(self, f"_{name}")(**context["asked"])
        except Refused as refused:
            error = {"Error": {"Code": refused.code, "Message": str(refused)}, "ResponseMetadata": {}}
            return SimpleNamespace(status_code=400, headers={}), error
        return SimpleNamespace(status_code=200, headers={}), {**answer, "ResponseMetadata": {}}

    # --- Stacks ---------------------------------------------------------------------------------------------------

    def _describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - AWS's own names
        stack = self.stacks.get(StackName) or self.live(StackName)
        if stack is None:
            raise Refused("ValidationError", f"Stack with id {StackName} does not exist")
        declared = stack.document["Parameters"]
        return {
            "Stacks": [
                {
                    "StackId": stack.id,
                    "StackName": stack.name,
                    "StackStatus": stack.status,
                    "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in stack.outputs.items()],
                    "Parameters": [
                        {"ParameterKey": key, "ParameterValue": "****" if declared[key].get("NoEcho") else value}
                        for key, value in stack.parameters.items()
                    ],
                    "Tags": [{"Key": key, "Value": value} for key, value in stack.tags.items()],
                }
            ]
        }

    def _describe_stack_events(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        stack = self.stacks[StackName]
        told = stack.events[: -1 if stack.still else None]
        stack.still = max(0, stack.still - 1)
        return {"StackEvents": told[::-1]}

    def _delete_stack(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        stack = self.stacks.get(StackName) or self.live(StackName)
        if stack is None:
            return {}
        stack.still = self.polls
        _tell(stack, stack.name, "DELETE_IN_PROGRESS")
        stack.status = "DELETE_COMPLETE" if self._take_down(stack) else "DELETE_FAILED"
        _tell(stack, stack.name, stack.status)
        return {}

    # --- Change sets ----------------------------------------------------------------------------------------------

    def _create_change_set(self, **asked: Any) -> dict[str, Any]:
        self.requests.append(asked)
        creating = asked["ChangeSetType"] == "CREATE"
        stack = self.live(asked["StackName"])
        if creating and stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            raise Refused("AlreadyExistsException", f"Stack [{stack.name}] already exists")
        if not creating and stack is None:
            raise Refused("ValidationError", f"Stack [{asked['StackName']}] does not exist")
        before = stack.parameters if stack and not creating else {}
        document, body = self._document(asked["TemplateURL"])
        parameters = given(document["Parameters"], asked["Parameters"], before)
        if "CAPABILITYNAMED_IAM" not in asked["Capabilities"] and names_iam(document):
            raise Refused("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITYNAMED_IAM]")
        if stack is None:
            number = next(_numbers)
            stack = FakeStack(
                id=f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{asked['StackName']}/{number}",
                name=asked["StackName"],
            )
            self.stacks[stack.id] = stack
            _tell(stack, stack.name, "REVIEW_IN_PROGRESS")
        made = FakeChangeSet(
            id=f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:changeSet/{asked['ChangeSetName']}/{next(_numbers)}",
            stack=stack,
            creating=creating,
            document=document,
            parameters=parameters,
            tags={each["Key"]: each["Value"] for each in asked["Tags"]},
            changes=self._changes(stack, document, parameters, adopt=asked["ImportExistingResources"]),
        )
        same = made.parameters == stack.parameters and document["Outputs"] == stack.document["Outputs"]
        if not made.changes and same and made.tags == stack.tags:
            made.status, made.reason = "FAILED", "The submitted information didn't contain changes. Submit different."
        if self.invalid is not None:
            made.status, made.reason = "FAILED", "The following validation checks failed: PROPERTY_VALIDATION"
        self.change_sets[made.id] = made
        assert len(body) <= 1_000_000
        return {"Id": made.id, "StackId": stack.id}

    def _describe_change_set(self, ChangeSetName: str, NextToken: str = "0") -> dict[str, Any]:  # noqa: N803
        found, start = self._change_set(ChangeSetName), int(NextToken)
        page = found.changes[start : start + 20]
        more = {"NextToken": str(start + 20)} if start + 20 < len(found.changes) else {}
        return {"Status": found.status, "StatusReason": found.reason, "Changes": page, **more}

    def _describe_events(self, ChangeSetName: str, Filters: Mapping[str, bool]) -> dict[str, Any]:  # noqa: N803
        self._change_set(ChangeSetName)
        assert Filters == {"FailedEvents": True}
        if self.invalid is None:
            return {"OperationEvents": []}
        [logical_id, reason] = self.invalid
        warning = {"LogicalResourceId": "Other", "ValidationStatusReason": "no matter", "ValidationFailureMode": "WARN"}
        fault = {"LogicalResourceId": logical_id, "ValidationStatusReason": reason, "ValidationFailureMode": "FAIL"}
        return {"OperationEvents": [warning, fault]}

    def _list_change_sets(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        found = [each for each in self.change_sets.values() if each.stack.id == StackName]
        return {"Summaries": [{"ChangeSetId": each.id, "Status": each.status} for each in found]}

    def _delete_change_set(self, ChangeSetName: str) -> dict[str, Any]:  # noqa: N803
        self.change_sets.pop(self._change_set(ChangeSetName).id)
        return {}

    def _execute_change_set(self, ChangeSetName: str, ClientRequestToken: str) -> dict[str, Any]:  # noqa: N803
        found = self._change_set(ChangeSetName)
        assert ClientRequestToken
        stack = found.stack
        for other in [each.id for each in self.change_sets.values() if each.stack is stack]:
            del self.change_sets[other]
        verb = "CREATE" if found.creating else "UPDATE"
        stack.still = self.polls
        _tell(stack, stack.name, f"{verb}_IN_PROGRESS")
        failed = [each for each in found.changes if each["ResourceChange"]["LogicalResourceId"] in self.failing]
        if found.creating or not failed:
            self._build(found, verb)
        for each in found.changes:
            self._tell_of(stack, each["ResourceChange"], verb, broken=bool(failed))
        if not failed:
            stack.status = f"{verb}_COMPLETE"
        elif found.creating:
            _tell(stack, stack.name, "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create")
            self._take_down(stack)
            stack.status = "ROLLBACK_COMPLETE"
        else:
            _tell(stack, stack.name, "UPDATE_ROLLBACK_IN_PROGRESS", "The following resource(s) failed to update")
            stack.status = "UPDATE_ROLLBACK_FAILED" if self.stuck else "UPDATE_ROLLBACK_COMPLETE"
        _tell(stack, stack.name, stack.status)
        return {}

    # --- What they come to ----------------------------------------------------------------------------------------

    def _change_set(self, id_: str) -> FakeChangeSet:
        if id_ not in self.change_sets:
            raise Refused("ChangeSetNotFound", f"ChangeSet [{id_}] does not exist")
        return self.change_sets[id_]

    def _document(self, url: str) -> tuple[Mapping[str, Any], bytes]:
        """Return the template at that address as SAM's transform leaves it, with its code where it was uploaded to."""
        bucket, _, key = urlparse(url).path.lstrip("/").partition("/")
        body = self._client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return transformed(json.loads(body)), body

    def _changes(
        self, stack: FakeStack, document: Mapping[str, Any], parameters: Mapping[str, str], *, adopt: bool
    ) -> Sequence[Mapping[str, Any]]:
        before, after = stack.document["Resources"], document["Resources"]
        touched = {name for name, value in parameters.items() if stack.parameters.get(name) != value}
        found = []
        for name in sorted(before.keys() | after.keys()):
            changed = {"LogicalResourceId": name, "ResourceType": (after.get(name) or before[name])["Type"]}
            if name not in before:
                there = adopt and self._there(after[name])
                found.append({**changed, "Action": "Import" if there else "Add", "Scope": []})
            elif name not in after or self.losing == ("Remove", name):
                found.append({**changed, "Action": "Remove", "Scope": []})
            elif self.losing == ("Replace", name) or before[name] != after[name] or names_in(after[name]) & touched:
                replacement = "True" if self.losing == ("Replace", name) else "False"
                found.append({**changed, "Action": "Modify", "Replacement": replacement, "Scope": ["Properties"]})
        return [{"Type": "Resource", "ResourceChange": each} for each in found]

    def _there(self, resource: Mapping[str, Any]) -> bool:
        """Return whether the resource may be adopted: it has a name in letters, is kept, and exists."""
        name = resource.get("Properties", {}).get(NAMED.get(resource["Type"], ""))
        if not isinstance(name, str) or resource.get("DeletionPolicy") != "Retain":
            return False
        if resource["Type"] == "AWS::DynamoDB::Table":
            return name in self._client("dynamodb").list_tables()["TableNames"]
        listed = self._client("s3").list_buckets()["Buckets"]
        return name in {each["Name"] for each in listed}

    def _build(self, found: FakeChangeSet, verb: str) -> None:
        stack = found.stack
        if found.creating:
            actions = [each["ResourceChange"] for each in found.changes]
            stack.adopted = frozenset(each["LogicalResourceId"] for each in actions if each["Action"] == "Import")
        stack.document, stack.parameters, stack.tags = found.document, found.parameters, found.tags
        body = buildable(without_unbuilt(without_adopted(found.document, stack.adopted)))
        values = [{"ParameterKey": key, "ParameterValue": value} for key, value in found.parameters.items()]
        make = self._moto().create_stack if verb == "CREATE" else self._moto().update_stack
        try:
            make(StackName=stack.name, TemplateBody=json.dumps(body), Parameters=values)
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise
        [built] = self._moto().describe_stacks(StackName=stack.name)["Stacks"]
        known = {each["OutputKey"]: each["OutputValue"] for each in built.get("Outputs", [])}
        unconditional = [name for name, each in found.document["Outputs"].items() if "Condition" not in each]
        stack.outputs = {name: f"https://{name.lower()}.example" for name in unconditional} | known

    def _tell_of(self, stack: FakeStack, change: Mapping[str, Any], verb: str, *, broken: bool) -> None:
        name, kind = change["LogicalResourceId"], change["ResourceType"]
        if name in self.failing:
            _tell(stack, name, f"{verb}_FAILED", self.failing[name], kind=kind)
            return
        if broken and kind not in NAMED:
            _tell(stack, name, f"{verb}_FAILED", f"Resource {'creation' if verb == 'CREATE' else 'update'} cancelled")
            return
        verb = {"Import": "IMPORT", "Remove": "DELETE"}.get(change["Action"], verb)
        _tell(stack, name, f"{verb}_IN_PROGRESS", kind=kind)
        _tell(stack, name, f"{verb}_COMPLETE", kind=kind, physical_id=self._physical_id(stack, name))

    def _take_down(self, stack: FakeStack) -> bool:
        """Tell of each resource that goes, or is kept; return whether all could."""
        for name, each in stack.document["Resources"].items():
            if name in self.undeletable:
                _tell(stack, name, "DELETE_FAILED", self.undeletable[name], kind=each["Type"])
                return False
            kept = each.get("DeletionPolicy") == "Retain"
            status = "DELETE_SKIPPED" if kept else "DELETE_COMPLETE"
            _tell(stack, name, status, kind=each["Type"], physical_id=self._physical_id(stack, name))
        self._moto().delete_stack(StackName=stack.name)
        # moto's CloudFormation leaves them.
        logs = self._client("logs")
        for group in logs.describe_log_groups()["logGroups"]:
            if f"{stack.name}-" in group["logGroupName"]:
                logs.delete_log_group(logGroupName=group["logGroupName"])
        return True

    def _physical_id(self, stack: FakeStack, name: str) -> str:
        resource = stack.document["Resources"].get(name, {})
        given = resource.get("Properties", {}).get(NAMED.get(resource.get("Type", ""), ""))
        return given if isinstance(given, str) else f"{stack.name}-{name}"

    def _moto(self) -> Any:
        return self._client("cloudformation")


def _tell(stack: FakeStack, name: str, status: str, reason: str = "", *, kind: str = "", physical_id: str = "") -> None:
    stack.events.append(
        {
            "EventId": f"{name}-{next(_numbers)}",
            "LogicalResourceId": name,
            "PhysicalResourceId": stack.id if name == stack.name else physical_id,
            "ResourceType": "AWS::CloudFormation::Stack" if name == stack.name else kind,
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
        }
    )
