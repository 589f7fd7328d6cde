"""Checks of the stack itself: how its last change ended, which code it runs, its functions and its state machine."""

from __future__ import annotations

import hashlib
import hmac
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from infra import package, runtimes, stacks
from infra.checks import Check, Finding, Site, bad, ok, warn
from infra.template import Node

_SETTLED: Final = frozenset({"CREATE_COMPLETE", "IMPORT_COMPLETE", "UPDATE_COMPLETE"})
#: What is done about a stack whose last change went wrong, by its status.
_MEND: Final[Mapping[str, str]] = MappingProxyType(
    {
        "CREATE_FAILED": "make deploy STAGE={stage} begins anew",
        "DELETE_FAILED": "make destroy STAGE={stage} once more; it says what is in the way",
        "ROLLBACK_COMPLETE": "make deploy STAGE={stage} begins anew",
        "ROLLBACK_FAILED": "make deploy STAGE={stage} begins anew",
        "UPDATE_FAILED": "aws cloudformation rollback-stack --stack-name {name}",
        "UPDATE_ROLLBACK_FAILED": "aws cloudformation continue-update-rollback --stack-name {name}",
    }
)
#: The setting whose value is a secret.
_PEPPER: Final = "STEPWELL_KEY_PEPPER"
_REFERENCE: Final = re.compile(r"\$\{AWS::StackName\}")


def status(site: Site) -> Iterator[Finding]:
    """Look how the stack's last change ended."""
    stack = site.deployed
    said = f"{stack.name} is {stack.status}"
    if stack.status in _SETTLED:
        yield ok(said)
    elif stack.status == "UPDATE_ROLLBACK_COMPLETE":
        yield warn(f"{said}: the last update failed, and all is as it was before it", f"make deploy STAGE={site.stage}")
    elif stack.status.endswith("_IN_PROGRESS"):
        yield warn(f"{said}: somebody is changing it", "wait, and look again")
    else:
        mend = _MEND.get(stack.status, "look at it in the CloudFormation console")
        yield bad(said, mend.format(stage=site.stage, name=stack.name))


def code(site: Site) -> Iterator[Finding]:
    """Look whether the stack runs this checkout's code, which is packaged for that."""
    running = site.deployed.code
    with tempfile.TemporaryDirectory() as folder:
        try:
            packaged = package.package(Path(folder), stage=site.stage)
        except package.BadTemplate as failed:
            yield warn(f"could not look: this checkout cannot be packaged: {failed}", "make package")
            return
        ours = hashlib.sha256((packaged.parent / "deployment.zip").read_bytes()).hexdigest()
    if running is None:
        yield warn("the stack does not say which code it runs", f"make deploy STAGE={site.stage}")
    elif running != ours:
        yield warn(f"{running[:12]}… runs, and this checkout is {ours[:12]}…", f"make deploy STAGE={site.stage}")
    else:
        yield ok(f"this checkout's runs ({ours[:12]}…)")


def functions(site: Site) -> Iterator[Finding]:
    """Look whether each function can run, with the settings, memory and time that the template gives it."""
    client = site.aws.client("lambda")
    general = site.template["Globals"]["Function"]["Environment"]["Variables"]
    pepper = stacks.find_pepper(site.aws, site.deployed.name)
    for section in site.template["Resources"].values():
        wanted = section.get("Properties", {})
        if "FunctionName" not in wanted:
            continue
        name = _REFERENCE.sub(site.deployed.name, wanted["FunctionName"]["Fn::Sub"])
        found = client.get_function_configuration(FunctionName=name)
        faults = list(_faults(site, found, wanted, general, pepper))
        yield from (Finding(each.level, f"{name} {each.said}", each.mend) for each in faults)
        if not faults:
            yield ok(f"{name}: {found['Runtime']}, {found['MemorySize']} MB, {found['Timeout']} s")


def _faults(
    site: Site, found: Mapping[str, Any], wanted: Node, general: Mapping[str, Node], pepper: str | None
) -> Iterator[Finding]:
    state, update = found.get("State", "Active"), found.get("LastUpdateStatus", "Successful")
    if state == "Failed":
        yield bad(f"cannot run: {found.get('StateReason', state)}", "its page in the Lambda console")
    elif state == "Pending":
        yield warn("is not ready yet", "wait, and look again")
    if update == "Failed":
        reason = found.get("LastUpdateStatusReason", update)
        yield bad(f"was not updated: {reason}", "its page in the Lambda console")
    elif update == "InProgress":
        yield warn("is being updated", "wait, and look again")
    variables = found.get("Environment", {}).get("Variables", {})
    own = wanted.get("Environment", {}).get("Variables", {})
    if missing := sorted((general.keys() | own.keys()) - variables.keys()):
        # CloudFormation writes a function's environment when something in it changes, and then all of it.
        mend = f'make deploy STAGE={site.stage} PARAMETERS="LogLevel=…", with another level than it has'
        yield bad(f"is not told {', '.join(missing)}", mend)
    if pepper is not None and _PEPPER in variables and not hmac.compare_digest(variables[_PEPPER], pepper):
        said = "hashes keys under another secret than the one that is kept: keys of make key do not work"
        yield bad(said, f"make deploy STAGE={site.stage}, or put the earlier secret back")
    for name, option in (("MemorySize", "--memory-size"), ("Timeout", "--timeout")):
        value = _resolved(site, wanted.get(name))
        if value is not None and value != str(found[name]):
            command = (
                f"aws lambda update-function-configuration --function-name {found['FunctionName']} {option} {value}"
            )
            yield warn(f"has {name} {found[name]}, not {value} as it was deployed", command)
    if found["Runtime"] != runtimes.ours():
        said = f"runs {found['Runtime']}, and make deploy from here would have it run {runtimes.ours()}"
        yield warn(said, f"make clean, then make deploy PYTHON=/path/to/{found['Runtime']}")


def _resolved(site: Site, node: Node) -> str | None:
    """Return a property that is a value or a parameter's; None for anything else."""
    if isinstance(node, dict):
        return site.parameter(node["Ref"]) if node.keys() == {"Ref"} else None
    return None if node is None else str(node)


def park(site: Site) -> Iterator[Finding]:
    """Look whether the state machine takes runs that wait, and logs what goes wrong with them."""
    arn = site.deployed.output("ParkStateMachineArn")
    found = site.aws.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
    if found["status"] != "ACTIVE":
        yield bad(f"{found['name']} is {found['status']}: no run can wait", site.anew)
    elif found.get("loggingConfiguration", {}).get("level", "OFF") == "OFF":
        yield warn(f"{found['name']} logs nothing", "its logging in the Step Functions console: ERROR")
    else:
        yield ok(f"{found['name']} is active and logs {found['loggingConfiguration']['level']}")


CHECKS: Final = (
    Check(about="stack", look=status, wants="cloudformation:DescribeStacks"),
    Check(about="code", look=code, wants="nothing"),
    Check(about="function", look=functions, wants="lambda:GetFunctionConfiguration, ssm:GetParameter"),
    Check(about="park", look=park, wants="states:DescribeStateMachine"),
)
