from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest

import app as deployed
from chalicelib import settings
from infra import package, template


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package.package(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def sam(packaged: Path) -> template.Node:
    return json.loads(packaged.read_text())


@pytest.fixture(scope="module")
def transformed(packaged: Path) -> template.Node:
    return package.check(packaged)["Resources"]


def test_the_template_passes_cfn_lint_and_the_sam_transform(transformed: template.Node) -> None:
    assert transformed["Drive"]["Type"] == "AWS::Lambda::Function"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("Park", "Properties", "Definition", "States", "Drive", "End"), False),
        (("Table", "Properties", "BillingMode"), "PAY_PER_WISH"),
        (("Sweep", "Properties", "MemorySize"), 1),
        (("DriveRole", "Properties", "Policies", 0), {"Ref": "Nobody"}),
    ],
)
def test_a_fault_in_the_template_is_found(
    sam: template.Node, path: tuple[str | int, ...], value: object, tmp_path: Path
) -> None:
    broken = json.loads(json.dumps(sam))
    node = broken["Resources"]
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    (tmp_path / "sam.json").write_text(json.dumps(broken))

    with pytest.raises(package.BadTemplate):
        package.check(tmp_path / "sam.json")


def test_every_function_and_route_of_the_app_is_in_the_template(sam: template.Node) -> None:
    functions = {name for name, item in sam["Resources"].items() if item["Type"] == "AWS::Serverless::Function"}
    paths = sam["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]

    declared = {each.name for each in deployed.app.pure_lambda_functions}
    declared |= {each.name for each in deployed.app.event_sources}
    assert functions == {"APIHandler"} | {name.title() for name in declared}
    assert set(paths) == set(deployed.app.routes)


def test_every_function_has_a_name_a_role_a_log_and_a_retry_count_of_its_own(transformed: template.Node) -> None:
    functions = {name: item for name, item in transformed.items() if item["Type"] == "AWS::Lambda::Function"}
    properties = [item["Properties"] for item in functions.values()]

    for own in ("FunctionName", "Role", "LoggingConfig"):
        assert len({json.dumps(each[own]) for each in properties}) == len(functions)
    retries = {
        item["Properties"]["FunctionName"]["Ref"]: item["Properties"]["MaximumRetryAttempts"]
        for item in transformed.values()
        if item["Type"] == "AWS::Lambda::EventInvokeConfig"
    }
    assert retries == {"Drive": 2, "Work": 0, "Sweep": 0, "Uploaded": 2}


def test_timeouts_are_what_the_settings_say(transformed: template.Node) -> None:
    timeouts = {
        name: item["Properties"]["Timeout"]
        for name, item in transformed.items()
        if item["Type"] == "AWS::Lambda::Function"
    }

    assert timeouts == {"APIHandler": 29, "Drive": 900, "Work": 900, "Sweep": 55, "Uploaded": 60}
    assert timeouts["Drive"] == settings.Settings().function_timeout_seconds


def test_the_functions_are_told_every_setting(transformed: template.Node) -> None:
    documented = set(re.findall(r"STEPWELL_[A-Z_]+", Path(settings.__file__).read_text()))

    # Where agents are processes of this machine is a matter of the local stack alone.
    local = {"STEPWELL_AGENTS", "STEPWELL_AGENT_HEARTBEAT_SECONDS"}
    local |= {f"STEPWELL_AGENT_{cli_id.upper()}" for cli_id in settings.Settings().agent_commands}
    assert set(transformed["Drive"]["Properties"]["Environment"]["Variables"]) == documented - local


def test_the_template_names_no_account_and_no_region(packaged: Path) -> None:
    text = packaged.read_text()

    assert re.findall(r"\b\d{12}\b", text) == []
    assert re.findall(r"\b(?:us|eu|ap|sa|ca|me|af)-[a-z]+-\d\b", text) == []


def test_the_zip_holds_the_app_and_nothing_of_its_surroundings(packaged: Path) -> None:
    with zipfile.ZipFile(packaged.with_name("deployment.zip")) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}

    assert {"app.py", "chalicelib", "pynamodb", "pydantic"} <= tops
    assert not tops & {"infra", "tests", "examples", "moto", "node_modules", ".venv"}


def test_what_is_kept_outlives_the_stack(sam: template.Node) -> None:
    for name in ("Table", "Bucket"):
        assert sam["Resources"][name]["DeletionPolicy"] == "Retain"
        assert sam["Resources"][name]["UpdateReplacePolicy"] == "Retain"


def test_the_bucket_tells_the_function_of_uploads_alone(transformed: template.Node) -> None:
    bucket = transformed["Bucket"]["Properties"]

    [told] = bucket["NotificationConfiguration"]["LambdaConfigurations"]
    assert told == {
        "Event": "s3:ObjectCreated:*",
        "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "uploads/"}]}},
        "Function": {"Fn::GetAtt": ["Uploaded", "Arn"]},
    }
    variables = transformed["Uploaded"]["Properties"]["Environment"]["Variables"]
    assert variables["STEPWELL_BUCKET"] == bucket["BucketName"]


def test_what_nobody_uses_leaves_the_bucket_by_itself(sam: template.Node) -> None:
    rules = sam["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    expiring = {(each.get("Prefix"), str(each.get("TagFilters"))): each.get("ExpirationInDays") for each in rules}

    assert expiring["uploads/", "None"] == 1
    assert expiring["files/", str([{"Key": "state", "Value": "unused"}])] == 1
    assert expiring["agent-work/", "None"] == 30
    assert [each["NoncurrentVersionExpiration"] for each in rules if "NoncurrentVersionExpiration" in each] == [
        {"NoncurrentDays": 1}
    ]
    assert not [each for each in rules if each.get("Prefix") == "files/" and "TagFilters" not in each]
