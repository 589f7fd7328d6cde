"""Checks of the stack itself; Lambda's functions are botocore's Stubber, moto being asked for none of them here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra import checks_stack as checks
from infra import package, runtimes, stacks
from infra.checks import Site
from tests.infra.site import NAME, a_site, a_stack, document, lines, stub

FUNCTIONS = ("api", "drive", "work", "sweep", "uploaded")
LOGICAL = {"api": "APIHandler", "drive": "Drive", "work": "Work", "sweep": "Sweep", "uploaded": "Uploaded"}
PEPPER = "0" * 64


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ("CREATE_COMPLETE", "ok it: stepwell-prod is CREATE_COMPLETE"),
        ("UPDATE_COMPLETE", "ok it: "),
        ("UPDATE_ROLLBACK_COMPLETE", "warn it: stepwell-prod is UPDATE_ROLLBACK_COMPLETE: the last update failed"),
        ("UPDATE_IN_PROGRESS", "warn it: stepwell-prod is UPDATE_IN_PROGRESS: somebody is changing it | mend: wait"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "warn it: "),
        ("ROLLBACK_COMPLETE", "bad it: stepwell-prod is ROLLBACK_COMPLETE | mend: make deploy STAGE=prod begins anew"),
        ("DELETE_FAILED", "bad it: stepwell-prod is DELETE_FAILED | mend: make destroy STAGE=prod once more"),
        (
            "UPDATE_ROLLBACK_FAILED",
            "bad it: stepwell-prod is UPDATE_ROLLBACK_FAILED | mend: aws cloudformation continue",
        ),
        ("IMPORT_ROLLBACK_FAILED", "bad it: stepwell-prod is IMPORT_ROLLBACK_FAILED | mend: look at it"),
    ],
)
def test_how_the_last_change_ended_is_told(status: str, line: str) -> None:
    assert lines(a_site(stack=a_stack(status)), checks.status)[0].startswith(line)


def test_another_code_than_this_checkouts_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def packaged(out: Path, *, stage: str) -> Path:
        assert stage == "prod"
        (out / "deployment.zip").write_bytes(b"code")
        return out / "sam.json"

    monkeypatch.setattr(package, "package", packaged)
    ours = hashlib.sha256(b"code").hexdigest()

    def told(**outputs: str) -> list[str]:
        return lines(a_site(stack=a_stack(outputs=outputs)), checks.code)

    assert told(CodeHash=ours) == [f"ok it: this checkout's runs ({ours[:12]}…)"]
    assert told(CodeHash="f" * 64) == [
        f"warn it: ffffffffffff… runs, and this checkout is {ours[:12]}… | mend: make deploy STAGE=prod"
    ]
    assert told()[0].startswith("warn it: the stack does not say which code it runs")


def test_a_checkout_that_cannot_be_packaged_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_out: Path, *, stage: str) -> Path:
        raise package.BadTemplate(f"no wheel for {stage}")

    monkeypatch.setattr(package, "package", failing)

    [line] = lines(a_site(stack=a_stack()), checks.code)

    assert line.startswith("warn it: could not look: this checkout cannot be packaged: no wheel for prod")


def configuration(name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What Lambda says of a function that is as the template has it, but for changes."""
    section = document()["Resources"][LOGICAL[name]]["Properties"]
    names = {
        *document()["Globals"]["Function"]["Environment"]["Variables"],
        *section.get("Environment", {}).get("Variables", {}),
    }
    site = a_site()

    def number(node: Any) -> int:
        return int(site.parameter(node["Ref"]) if isinstance(node, dict) else node)

    return {
        "FunctionName": f"{NAME}-{name}",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "Runtime": runtimes.ours(),
        "MemorySize": number(section["MemorySize"]),
        "Timeout": number(section["Timeout"]),
        "Environment": {"Variables": dict.fromkeys(names, "x") | {"STEPWELL_KEY_PEPPER": PEPPER}},
        **changes,
    }


def site_with(changes: Mapping[str, Any] | None = None, **parameters: str) -> Site:
    """A site whose function `drive` has these changes."""
    answers = [
        ("get_function_configuration", configuration(name, (changes or {}) if name == "drive" else {}))
        for name in FUNCTIONS
    ]
    return a_site(stack=a_stack(parameters=parameters), stubs={"lambda": stub("lambda", *answers)})


@pytest.fixture(autouse=True)
def _pepper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "find_pepper", lambda _aws, _name: PEPPER)


def test_functions_that_are_as_the_template_has_them_are_well() -> None:
    found = lines(site_with(), checks.functions)

    assert found == [
        f"ok it: {NAME}-{name}: {runtimes.ours()}, 1024 MB, {seconds} s"
        for name, seconds in zip(FUNCTIONS, (29, 900, 900, 55, 60), strict=True)
    ]


VARIABLES = configuration("drive", {})["Environment"]["Variables"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"State": "Failed", "StateReason": "no role"},
            "bad it: stepwell-prod-drive cannot run: no role | mend: its",
        ),
        ({"State": "Pending"}, "warn it: stepwell-prod-drive is not ready yet"),
        ({"LastUpdateStatus": "Failed"}, "bad it: stepwell-prod-drive was not updated: Failed"),
        ({"LastUpdateStatus": "InProgress"}, "warn it: stepwell-prod-drive is being updated"),
        (
            {"Environment": {"Variables": {**VARIABLES, "STEPWELL_KEY_PEPPER": "1" * 64}}},
            "bad it: stepwell-prod-drive hashes keys under another secret",
        ),
        (
            {
                "Environment": {
                    "Variables": {
                        name: "x" for name in VARIABLES if name not in {"STEPWELL_TABLE", "STEPWELL_KEY_PEPPER"}
                    }
                }
            },
            "bad it: stepwell-prod-drive is not told STEPWELL_KEY_PEPPER, STEPWELL_TABLE | mend: make deploy",
        ),
        (
            {"MemorySize": 128},
            "warn it: stepwell-prod-drive has MemorySize 128, not 1024 as it was deployed | mend: aws lambda update-",
        ),
        ({"Timeout": 3}, "warn it: stepwell-prod-drive has Timeout 3, not 900 as it was deployed"),
        ({"Runtime": "python3.9"}, "warn it: stepwell-prod-drive runs python3.9, and make deploy from here would"),
    ],
)
def test_a_function_that_is_not_is_told(changes: dict[str, Any], line: str) -> None:
    found = lines(site_with(changes), checks.functions)

    assert [each for each in found if not each.startswith("ok ")] == [found[1]]
    assert found[1].startswith(line)
    assert not any(PEPPER in each or "1" * 64 in each for each in found)


def test_a_function_is_held_against_what_the_stack_was_given_for_it() -> None:
    found = lines(site_with({"MemorySize": 2048}, DriveMemoryMb="2048"), checks.functions)

    assert found[1] == f"ok it: {NAME}-drive: {runtimes.ours()}, 2048 MB, 900 s"
    assert found[2].startswith(f"warn it: {NAME}-work has MemorySize 1024, not 2048")


def test_a_function_that_is_gone_is_bad() -> None:
    lambdas = stub("lambda", ("get_function_configuration", "ResourceNotFoundException"))

    [line] = lines(a_site(stack=a_stack(), stubs={"lambda": lambdas}), checks.functions)

    assert line.startswith("bad it: is not there (said so) | mend: make destroy STAGE=prod, then make")


def machine(**changes: Any) -> dict[str, Any]:
    return {
        "stateMachineArn": "arn:x",
        "name": "park",
        "status": "ACTIVE",
        "definition": "{}",
        "roleArn": "arn:aws:iam::123456789012:role/x",
        "type": "STANDARD",
        "creationDate": "2026-01-01T00:00:00Z",
        "loggingConfiguration": {"level": "ERROR"},
        **changes,
    }


@pytest.mark.parametrize(
    ("described", "line"),
    [
        (machine(), "ok it: park is active and logs ERROR"),
        (machine(loggingConfiguration={"level": "OFF"}), "warn it: park logs nothing"),
        (machine(status="DELETING"), "bad it: park is DELETING: no run can wait | mend: make destroy STAGE=prod, then"),
    ],
)
def test_the_state_machine_that_holds_runs_is_looked_at(described: dict[str, Any], line: str) -> None:
    stack = a_stack(outputs={"ParkStateMachineArn": "arn:x"})
    stepfunctions = stub("stepfunctions", ("describe_state_machine", described))

    assert lines(a_site(stack=stack, stubs={"stepfunctions": stepfunctions}), checks.park)[0].startswith(line)


def test_a_stack_without_an_output_is_told_to_be_older() -> None:
    [line] = lines(a_site(stack=a_stack()), checks.park)

    assert line == (
        "warn it: could not look: the stack stepwell-prod (CREATE_COMPLETE) has no ParkStateMachineArn: "
        "run make deploy again"
    )
