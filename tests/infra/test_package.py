from __future__ import annotations

import copy
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import app as deployed
from chalicelib import settings
from infra import conditions, package, template

FUNCTION = "AWS::Lambda::Function"
#: What CloudFormation takes: characters of a template, and resources of a stack.
MOST_CHARACTERS, MOST_RESOURCES = 1_000_000, 500


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package.package(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def sam(packaged: Path) -> template.Node:
    return json.loads(packaged.read_text())


@pytest.fixture(scope="module")
def whole(packaged: Path) -> template.Node:
    return package.check(packaged)


@pytest.fixture(scope="module")
def transformed(whole: template.Node) -> template.Node:
    return conditions.settled(whole, {})["Resources"]


def of_type(resources: template.Node, wanted: str) -> dict[str, template.Node]:
    return {name: item["Properties"] for name, item in resources.items() if item["Type"] == wanted}


def resolved(node: template.Node, stack: str) -> str:
    """Return a name as CloudFormation would make it of the stack's own, account 1 and the region here."""
    pseudo = {"AWS::StackName": stack, "AWS::AccountId": "1", "AWS::Region": "here"}
    if isinstance(node, dict) and node.keys() == {"Ref"}:
        return pseudo[node["Ref"]]
    text = node["Fn::Sub"] if isinstance(node, dict) else node
    return re.sub(r"\$\{([^}]+)\}", lambda match: pseudo[match[1]], text)


def names(resources: template.Node, stack: str) -> Iterator[tuple[str, str]]:
    """Yield the names that the template gives, each with the type of what it is for.

    What is named after a resource is a part of it, as is an API's stage; metrics are told apart by their dimensions.
    """
    for item in resources.values():
        for key, node in item.get("Properties", {}).items():
            of_resource = isinstance(node, dict) and node.get("Ref") in resources
            if re.fullmatch("([A-Z][a-z]+)*Name", key) and key not in {"MetricName", "StageName"} and not of_resource:
                yield resolved(node, stack), item["Type"]


def test_the_template_passes_cfn_lint_and_the_sam_transform(transformed: template.Node) -> None:
    assert transformed["Drive"]["Type"] == "AWS::Lambda::Function"


def test_a_fault_in_the_template_is_found(sam: template.Node, tmp_path: Path) -> None:
    faults = {
        ("Park", "Properties", "Definition", "States", "Drive", "End"): "no",
        ("Table", "Properties", "BillingMode"): "PAY_PER_WISH",
        ("Sweep", "Properties", "MemorySize"): 1,
        ("StuckRuns", "Properties", "Statistic"): "Mode",
        ("DriveRole", "Properties", "Policies", 0): {"Ref": "Nobody"},
    }
    broken = copy.deepcopy(sam)
    for path, value in faults.items():
        node = broken["Resources"]
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = value
    # None of the faults is there, and looking at all paths takes as long as looking at all else.
    broken["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"] = {}
    (tmp_path / "sam.json").write_text(json.dumps(broken))

    with pytest.raises(package.BadTemplate) as found:
        package.check(tmp_path / "sam.json")

    for named in ("'no'", "PAY_PER_WISH", "1 is less than", "Mode", "Nobody"):
        assert named in str(found.value)


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


def test_every_function_runs_on_arm64_with_all_concurrency_free(transformed: template.Node) -> None:
    for properties in of_type(transformed, FUNCTION).values():
        assert properties["Architectures"] == ["arm64"]
        assert "ReservedConcurrentExecutions" not in properties
        assert properties["TracingConfig"] == {"Mode": "PassThrough"}


def test_the_template_is_within_the_limits_of_cloudformation(packaged: Path, whole: template.Node) -> None:
    assert len(packaged.read_bytes()) < MOST_CHARACTERS / 2
    assert len(json.dumps(whole)) < MOST_CHARACTERS / 2
    assert len(whole["Resources"]) < MOST_RESOURCES / 2
    assert max(len(whole["Parameters"]), len(whole["Outputs"])) < 200
    assert all(len(each["Description"]) <= 4_000 for each in whole["Parameters"].values())


def test_the_functions_are_told_every_setting(transformed: template.Node) -> None:
    documented = set(re.findall(r"STEPWELL_[A-Z_]+", Path(settings.__file__).read_text()))

    # Where agents are processes of this machine is a matter of the local stack alone.
    local = {"STEPWELL_AGENTS", "STEPWELL_AGENT_HEARTBEAT_SECONDS"}
    local |= {f"STEPWELL_AGENT_{cli_id.upper()}" for cli_id in settings.Settings().agent_commands}
    for properties in of_type(transformed, FUNCTION).values():
        told = properties["Environment"]["Variables"]
        assert {name for name in told if name.startswith("STEPWELL_")} == documented - local


def test_the_template_names_no_account_and_no_region(packaged: Path) -> None:
    text = packaged.read_text()

    assert re.findall(r"\b\d{12}\b", text) == []
    assert re.findall(r"\b(?:us|eu|ap|sa|ca|me|af)-[a-z]+-\d\b", text) == []


def test_the_template_holds_no_secret_and_tells_it_to_functions_alone(whole: template.Node) -> None:
    assert whole["Parameters"]["KeyPepper"]["NoEcho"] is True
    assert "Default" not in whole["Parameters"]["KeyPepper"]
    told = json.loads(json.dumps(whole))
    for properties in of_type(told["Resources"], FUNCTION).values():
        assert properties["Environment"]["Variables"].pop("STEPWELL_KEY_PEPPER") == {"Ref": "KeyPepper"}

    assert "KeyPepper" not in json.dumps([told["Resources"], told["Outputs"]])


@pytest.mark.parametrize("other", ["stepwell-prod", "stepwell-dev-work"])
def test_two_stages_share_no_name(transformed: template.Node, other: str) -> None:
    one, two = (set(names(transformed, stack)) for stack in ("stepwell-dev", other))

    # Whatever has no name of its own is named by CloudFormation, which never does so twice.
    assert {"stepwell-dev", "stepwell-dev-drive", "stepwell-dev-1-here", "stepwell-dev-stuck-runs"} <= dict(one).keys()
    assert len(one) == len(two) > 20
    assert one.isdisjoint(two)


@pytest.mark.parametrize("longest", ["stepwell-" + 26 * "x"])
def test_no_name_of_the_longest_stage_is_too_long(transformed: template.Node, longest: str) -> None:
    functions = [resolved(each["FunctionName"], longest) for each in of_type(transformed, FUNCTION).values()]
    [bucket] = [resolved(each["BucketName"], longest) for each in of_type(transformed, "AWS::S3::Bucket").values()]

    assert max(map(len, functions)) <= 64
    assert len(bucket.replace("-1-here", "-123456789012-ap-southeast-2")) <= 63


def test_functions_that_invoke_one_another_on_purpose_are_not_taken_for_a_loop(transformed: template.Node) -> None:
    allowed = {
        name
        for name, item in transformed.items()
        if item["Type"] == "AWS::Lambda::Function" and item["Properties"].get("RecursiveLoop") == "Allow"
    }

    assert allowed == {"Drive", "Work"}


def test_there_is_no_stage_beside_the_one_that_is_throttled(transformed: template.Node) -> None:
    kinds = [item["Type"] for item in transformed.values()]
    deployments = [item for item in transformed.values() if item["Type"] == "AWS::ApiGateway::Deployment"]

    assert kinds.count("AWS::ApiGateway::Stage") == 1
    assert [each["Properties"].get("StageName") for each in deployments] == [None]


def test_the_zip_holds_the_app_and_nothing_of_its_surroundings(packaged: Path) -> None:
    with zipfile.ZipFile(packaged.with_name("deployment.zip")) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}

    assert {"app.py", "chalicelib", "pynamodb", "pydantic"} <= tops
    assert not tops & {"infra", "tests", "examples", "moto", "node_modules", ".venv"}


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
