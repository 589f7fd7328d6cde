from __future__ import annotations

from typing import Any, Final

import pytest

from infra import template
from infra.local import LocalStack, cloudformation
from infra.local.aws import ACCOUNT, REGION, aws
from infra.local.resources import Clients

DOCUMENT: Final[dict[str, Any]] = {
    "Transform": "AWS::Serverless-2016-10-31",
    "Globals": {"Function": {"MemorySize": 1024}},
    "Parameters": {"Color": {"Type": "String", "Default": "red"}},
    "Resources": {
        "Queue": {"Type": "AWS::SQS::Queue", "DependsOn": "Topic"},
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Ref": "Color"}}},
        "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmActions": [{"Ref": "Topic"}]}},
        "Stage": {"Type": "AWS::ApiGateway::Stage", "Properties": {"StageName": "live"}},
        "Merged": {"Properties": {"FunctionName": "over-another-template's"}},
        "NamesTheAlarm": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::Sub": "${Alarm.Arn}-${Color}"}}},
        "NamesItsFollower": {"Type": "AWS::SNS::Topic", "DependsOn": ["Queue", "NamesTheAlarm"]},
        "NamesTheStage": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::Sub": "x-${Stage}"}}},
    },
    "Outputs": {
        "Url": {"Value": {"Fn::Sub": "https://x/${Stage}"}},
        "Stage": {"Value": {"Ref": "Stage"}},
        "Queue": {"Value": {"Fn::GetAtt": ["Queue", "Arn"]}},
        "Alarm": {"Value": {"Fn::GetAtt": ["Alarm", "Arn"]}},
    },
}


@pytest.fixture(scope="module")
def built() -> dict[str, Any]:
    return cloudformation.buildable(DOCUMENT)


def test_what_moto_cannot_build_is_left_out_with_whatever_names_it(built: dict[str, Any]) -> None:
    assert set(built["Resources"]) == {"Queue", "Topic", "NamesTheStage"}
    assert set(built["Outputs"]) == {"Url", "Stage", "Queue"}
    assert built.keys() == {"Parameters", "Resources", "Outputs"}


def test_a_stage_that_is_left_out_stands_for_its_name(built: dict[str, Any]) -> None:
    assert built["Outputs"]["Url"]["Value"] == {"Fn::Sub": "https://x/live"}
    assert built["Outputs"]["Stage"]["Value"] == "live"
    assert built["Resources"]["NamesTheStage"]["Properties"]["TopicName"] == {"Fn::Sub": "x-live"}


def test_the_template_itself_stays_as_it_was() -> None:
    before = template.load()
    document = template.load()

    cloudformation.buildable(document)

    assert document == before


def test_a_state_machine_has_its_definition_as_text_with_references_in_it() -> None:
    document = template.load()
    given = document["Resources"]["Park"]["Properties"]["DefinitionSubstitutions"]
    _, pieces = cloudformation.buildable(document)["Resources"]["Park"]["Properties"]["DefinitionString"]["Fn::Join"]

    assert [piece for piece in pieces if not isinstance(piece, str)] == list(given.values())
    assert '"$$.Task.Token"' in "".join(piece for piece in pieces if isinstance(piece, str))
    assert not [piece for piece in pieces if isinstance(piece, str) and "${" in piece]


def test_no_value_is_left_out_of_a_list(stack: LocalStack) -> None:
    client = Clients.at(aws().url, dynamodb_endpoint=None).cloudformation
    body = """
    {"Conditions": {"Never": {"Fn::Equals": ["a", "b"]}},
     "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
     "Outputs": {"List": {"Value": {"Fn::ToJsonString": [{"Fn::If": ["Never", 1, {"Ref": "AWS::NoValue"}]}, "yes"]}}}}
    """

    client.create_stack(StackName="no-value", TemplateBody=body)
    [output] = client.describe_stacks(StackName="no-value")["Stacks"][0]["Outputs"]
    client.delete_stack(StackName="no-value")

    assert output["OutputValue"] == '["yes"]'


def test_the_local_stack_is_a_stack_of_cloudformations(stack: LocalStack) -> None:
    client = Clients.at(aws().url, dynamodb_endpoint=None).cloudformation
    [found] = client.describe_stacks(StackName=stack.resources.stack_name)["Stacks"]
    made = {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for each in client.list_stack_resources(StackName=found["StackName"])["StackResourceSummaries"]
    }

    assert found["StackStatus"] == "CREATE_COMPLETE"
    assert (made["Table"], made["Bucket"], made["Park"]) == (
        stack.resources.table,
        stack.resources.bucket,
        stack.resources.park,
    )
    assert stack.resources.function_resources["Drive"].role == f"arn:aws:iam::{ACCOUNT}:role/{made['DriveRole']}"
    assert stack.resources.bucket.endswith(f"-{ACCOUNT}-{REGION}")


def test_the_secret_that_keys_are_hashed_under_is_kept_beside_the_stack(stack: LocalStack) -> None:
    found = Clients.at(aws().url, dynamodb_endpoint=None).ssm.get_parameter(
        Name=f"/stepwell/{stack.resources.stack_name}/key-pepper", WithDecryption=True
    )

    assert found["Parameter"]["Value"] == stack.resources.environment["STEPWELL_KEY_PEPPER"]
