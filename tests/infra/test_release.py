from __future__ import annotations

import json
import shlex
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra import deploy, deployments, parameters, release, stacks, template
from infra.deployments import Deployments
from infra.local import LocalStack
from infra.local.aws import ACCOUNT, REGION
from infra.stacks import Aws
from infra.trouble import Trouble
from tests.conftest import Project


def a_package(folder: Path, code: bytes = b"code") -> Path:
    function = {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "./deployment.zip"}}
    resources = template.load()["Resources"]
    kept = {name: resources[name] for name in release.KEPT}
    sam = {"Parameters": {}, "Resources": {"Drive": function, **kept}}
    (folder / "sam.json").write_text(json.dumps(sam))
    (folder / "deployment.zip").write_bytes(code)
    return folder / "sam.json"


def prepared(path: Path, name: str = "stepwell-t") -> release.Release:
    return release.prepare(path, stack_name=name, account=ACCOUNT, region=REGION, bucket="deployments")


def test_table_and_bucket_are_named_in_letters_as_the_template_names_them(stack: LocalStack, tmp_path: Path) -> None:
    resources = json.loads(prepared(a_package(tmp_path), stack.resources.stack_name).template)["Resources"]

    assert resources["Table"]["Properties"]["TableName"] == stack.resources.table
    assert resources["Bucket"]["Properties"]["BucketName"] == stack.resources.bucket


def test_the_longest_stage_leaves_the_bucket_a_name_that_s3_takes() -> None:
    stack_name = stacks.name_of("s" * 26)

    assert len(f"{stack_name}-{ACCOUNT}-ap-northeast-1") == 63


def test_the_same_package_is_the_same_release_and_other_code_another(tmp_path: Path) -> None:
    first = prepared(a_package(tmp_path))
    again = prepared(a_package(tmp_path))
    other = prepared(a_package(tmp_path, b"other"))

    assert first == again
    assert (first.code_key, first.template_key) != (other.code_key, other.template_key)
    document = json.loads(first.template)
    assert document["Resources"]["Drive"]["Properties"]["CodeUri"] == f"s3://deployments/{first.code_key}"
    assert document["Outputs"]["CodeHash"]["Value"] == first.code_hash


def test_the_commands_that_a_first_deployment_shows_work_when_they_are_pasted(
    stack: LocalStack, project: Project
) -> None:
    shown = deploy.READY.format(name="stepwell-t", url=stack.url)
    shown += deploy.FIRST_KEY.format(project=project.id, url=stack.url, key=project.key)
    commands = [line for line in shown.splitlines() if line.startswith(("#", "curl", "export", " "))]

    done = subprocess.run(["bash", "-e"], input="\n".join(commands), capture_output=True, text=True, check=True)

    health, _, workflow = done.stdout.partition("}")
    assert '"status":' in health
    assert '"name":"hello"' in workflow


DECLARED: dict[str, Any] = {
    "Name": {"Type": "String", "Default": "", "MinLength": 2, "MaxLength": 4},
    "Pattern": {"Type": "String", "Default": "", "AllowedPattern": "[a-z]+", "ConstraintDescription": "small letters"},
    "Days": {"Type": "Number", "Default": 3, "MinValue": 1, "MaxValue": 30},
    "Choice": {"Type": "Number", "Default": 3, "AllowedValues": [3, 5]},
    "List": {"Type": "CommaDelimitedList", "Default": "*", "AllowedPattern": r"\*|https://.*"},
    "KeyPepper": {"Type": "String", "NoEcho": True},
}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Name=a", "2 to 4 characters"),
        ("Name=abcde", "2 to 4 characters"),
        ("Pattern=a1", "small letters"),
        ("Days=0", "1 at least"),
        ("Days=31", "30 at most"),
        ("Days=many", "a whole number"),
        ("Days=", "a whole number"),
        ("Days=07", "a whole number"),
        ("Days=7.0", "a whole number"),
        ("Choice=4", "one of 3, 5"),
        ("List=https://a,b", "it must look like"),
        ("Other=1", "there is no Other: Choice, Days, List, Name, Pattern"),
        ("Day=1", "there is no Day; Days?"),
        ("=1", "'=1' is not Name=value"),
    ],
)
def test_a_value_that_the_template_would_not_take_is_refused(text: str, said: str) -> None:
    with pytest.raises(Trouble, match=said.replace("?", r"\?")):
        parameters.read(text, DECLARED)


def test_values_with_blanks_go_in_quotes_and_may_be_empty() -> None:
    text = "Pattern=a Days=30 List='*, https://a' " + shlex.quote("Name=a b")

    assert parameters.read(text, DECLARED) == {"Pattern": "a", "Days": "30", "List": "*, https://a", "Name": "a b"}
    assert parameters.read("List=*", DECLARED | {"Empty": {"Type": "String"}}) == {"List": "*"}
    assert parameters.read("Empty=", DECLARED | {"Empty": {"Type": "String"}}) == {"Empty": ""}


def test_a_parameter_that_the_stack_has_and_nobody_gives_stays_and_a_new_one_has_its_default() -> None:
    handed = parameters.submitted(DECLARED, {"Days": "5"}, before={"Name": "ab", "KeyPepper": "****"}, pepper="secret")

    assert handed == [
        {"ParameterKey": "Name", "UsePreviousValue": True},
        {"ParameterKey": "Days", "ParameterValue": "5"},
        {"ParameterKey": "KeyPepper", "ParameterValue": "secret"},
    ]
    kept = parameters.submitted(DECLARED, {}, before={"KeyPepper": "****"}, pepper=None)
    assert kept == [{"ParameterKey": "KeyPepper", "UsePreviousValue": True}]


def test_what_a_stack_has_not_used_for_long_is_deleted_and_what_it_uses_is_not(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments, "_KEPT", timedelta(0))
    monkeypatch.setattr(deployments, "_FRESH", timedelta(0))
    bucket = Deployments(aws=Aws(boto3.Session()), account=ACCOUNT, partition="aws")
    stack.s3.create_bucket(Bucket=bucket.name)
    for key in ("stepwell-t/used.zip", "stepwell-t/before.zip", "stepwell-other/used.zip"):
        stack.s3.put_object(Bucket=bucket.name, Key=key, Body=b"")

    bucket.prune("stepwell-t", keep={"stepwell-t/used.zip"})

    left = {each["Key"] for each in stack.s3.list_objects_v2(Bucket=bucket.name)["Contents"]}
    assert left == {"stepwell-t/used.zip", "stepwell-other/used.zip"}
    # It is there, and is uploaded all the same: another's clearing up could take it for what nobody uses.
    assert not bucket.holds("stepwell-t/used.zip")
