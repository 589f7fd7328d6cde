"""What parameters switch on and off (keys, another table, reservations, alarms), and what always holds."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from chalicelib.domain.step_fields import LONGEST_CALL
from chalicelib.domain.upload import UPLOAD_TIME
from chalicelib.gateways.agents_ecs import WORK_URL_LASTS
from chalicelib.services import drive, files, scripts
from chalicelib.services.attempts import GRACE_SECONDS
from chalicelib.services.waking import CHECK_AFTER
from chalicelib.settings import LONGEST_FUNCTION_SECONDS
from infra import conditions, template

DOCUMENT = template.load()
PARAMETERS = DOCUMENT["Parameters"]
KEY = {"CustomerKeyArn": "arn:aws:kms:us-east-1:111122223333:key/1"}
FUNCTIONS = ("APIHandler", "Drive", "Work", "Sweep", "Uploaded")


def properties(given: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the resources' properties in a stack with these parameters."""
    resources = conditions.settled(DOCUMENT, given or {})["Resources"]
    return {name: each.get("Properties", {}) for name, each in resources.items()}


def logs(given: dict[str, str]) -> dict[str, Any]:
    return {name: each for name, each in properties(given).items() if "LogGroupName" in each}


@pytest.mark.parametrize("name", ["Table", "Bucket"])
def test_what_is_kept_outlives_the_stack(name: str) -> None:
    assert DOCUMENT["Resources"][name]["DeletionPolicy"] == "Retain"
    assert DOCUMENT["Resources"][name]["UpdateReplacePolicy"] == "Retain"


def test_the_table_is_protected_and_can_be_restored() -> None:
    table = properties()["Table"]

    assert table["DeletionProtectionEnabled"] is True
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"


def test_the_bucket_is_private_and_keeps_what_was_there() -> None:
    bucket = properties()["Bucket"]

    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


def test_everything_is_encrypted_without_a_key_of_ones_own() -> None:
    found = properties()

    assert found["Table"]["SSESpecification"] == {"SSEEnabled": True}
    [rule] = found["Bucket"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert found["DeadLetters"]["SqsManagedSseEnabled"] is True
    assert "kms:" not in json.dumps(found)


def test_with_a_customers_key_everything_is_encrypted_with_it() -> None:
    found, key = properties(KEY), {"Ref": "CustomerKeyArn"}

    assert found["Table"]["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    [rule] = found["Bucket"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    assert found["DeadLetters"]["KmsMasterKeyId"] == found["AlarmTopic"]["KmsMasterKeyId"] == key
    assert "SqsManagedSseEnabled" not in found["DeadLetters"]
    groups = logs(KEY | {"AccessLog": "true"})
    assert len(groups) == len(FUNCTIONS) + 2
    assert all(group["KmsKeyId"] == key for group in groups.values())
    assert conditions.settled(DOCUMENT, KEY)["Globals"]["Function"]["KmsKeyArn"] == key


@pytest.mark.parametrize("role", ["ApiRole", "DriveRole", "WorkRole", "SweepRole", "UploadedRole", "ParkRole"])
def test_with_a_customers_key_whoever_reads_the_table_may_use_it_there_alone(role: str) -> None:
    policies = properties(KEY)[role]["Policies"]
    statements = [each for policy in policies for each in policy["PolicyDocument"]["Statement"]]
    [granted] = [each for each in statements if "kms:Decrypt" in each["Action"]]

    assert granted["Resource"] == {"Ref": "CustomerKeyArn"}
    assert "dynamodb." in json.dumps(granted["Condition"]["StringEquals"]["kms:ViaService"])


@pytest.mark.parametrize(
    ("policy", "sid"),
    [("BucketPolicy", "TlsOnly"), ("DeadLettersPolicy", "TlsOnly"), ("AlarmTopicPolicy", "TlsOnly")],
)
def test_nothing_is_taken_or_given_without_tls(policy: str, sid: str) -> None:
    [said] = [each for each in properties()[policy]["PolicyDocument"]["Statement"] if each["Sid"] == sid]

    assert (said["Effect"], said["Principal"]) == ("Deny", "*")
    assert said["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_no_signature_of_ours_is_older_than_the_bucket_takes() -> None:
    [said] = [
        each for each in properties()["BucketPolicy"]["PolicyDocument"]["Statement"] if each["Sid"] == "NoOldSignature"
    ]
    url_seconds = inspect.signature(files.url_of).parameters["seconds"].default
    longest = max(UPLOAD_TIME.total_seconds(), WORK_URL_LASTS.total_seconds(), url_seconds)

    assert said["Condition"] == {"NumericGreaterThan": {"s3:signatureAge": str(int(longest * 1000))}}


def test_a_restored_table_is_used_by_everything_in_place_of_the_stacks_own() -> None:
    document = conditions.settled(DOCUMENT, {"RestoredTable": "back"})
    del document["Resources"]["Table"]
    text = json.dumps(document)

    assert '{"Ref": "Table"}' not in text
    assert "Table.Arn" not in text
    assert '"Fn::GetAtt": ["Table"' not in text
    # Environment, state machine, its role, functions' roles, alarms, dashboard, output.
    assert text.count('{"Ref": "RestoredTable"}') > 10


def test_time_outs_leave_room_for_what_functions_wait_for() -> None:
    found, time = properties(), PARAMETERS["DriveTimeoutSeconds"]

    assert found["Drive"]["Timeout"] == found["Work"]["Timeout"] == {"Ref": "DriveTimeoutSeconds"}
    told = DOCUMENT["Globals"]["Function"]["Environment"]["Variables"]["STEPWELL_FUNCTION_TIMEOUT_SECONDS"]
    assert told == {"Ref": "DriveTimeoutSeconds"}
    assert time["Default"] == time["MaxValue"] == LONGEST_FUNCTION_SECONDS
    # A driver starts nothing in the second half of its time.
    assert time["MinValue"] / 2 >= LONGEST_CALL + GRACE_SECONDS + drive.LAST_MOMENT.total_seconds()
    assert scripts.LONGEST.total_seconds() < found["APIHandler"]["Timeout"] <= 29
    assert found["Sweep"]["Timeout"] < 60
    assert found["Work"]["EventInvokeConfig"]["MaximumEventAgeInSeconds"] <= CHECK_AFTER.total_seconds()


@pytest.mark.parametrize(("name", "parameter"), [("APIHandler", "Api"), ("Drive", "Drive"), ("Work", "Work")])
def test_concurrency_is_reserved_where_a_person_says_how_much(name: str, parameter: str) -> None:
    assert "ReservedConcurrentExecutions" not in properties()[name]
    reserved = properties({f"{parameter}Concurrency": "7"})[name]["ReservedConcurrentExecutions"]
    assert reserved == {"Ref": f"{parameter}Concurrency"}


def test_what_lambda_gives_up_is_kept_where_a_person_can_do_something_about_it() -> None:
    found = properties()
    destinations = {name: found[name].get("EventInvokeConfig", {}).get("DestinationConfig") for name in FUNCTIONS}

    kept = {"OnFailure": {"Type": "SQS", "Destination": {"Fn::GetAtt": ["DeadLetters", "Arn"]}}}
    assert destinations == {"APIHandler": None, "Drive": kept, "Work": None, "Sweep": None, "Uploaded": kept}
    assert found["DeadLetters"]["MessageRetentionPeriod"] == 14 * 24 * 60 * 60


def test_tracing_is_off_unless_asked_for_and_then_on_everywhere() -> None:
    for given, mode, disabled in (({}, "PassThrough", "true"), ({"Tracing": "true"}, "Active", "false")):
        found = conditions.settled(DOCUMENT, given)
        resources = {name: each.get("Properties", {}) for name, each in found["Resources"].items()}
        assert {resources[name]["Tracing"] for name in FUNCTIONS} == {mode}
        assert resources["Park"]["TracingConfiguration"] == {"Enabled": mode == "Active"}
        assert found["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_TRACE_DISABLED"] == disabled


def test_the_state_machine_logs_its_errors_and_no_data() -> None:
    logging = properties()["Park"]["LoggingConfiguration"]

    assert (logging["Level"], logging["IncludeExecutionData"]) == ("ERROR", False)
    assert logging["Destinations"] == [{"CloudWatchLogsLogGroup": {"LogGroupArn": {"Fn::GetAtt": ["ParkLogs", "Arn"]}}}]


def test_every_function_has_a_log_group_that_forgets() -> None:
    for group in logs({}).values():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert {properties()[name]["LoggingConfig"]["LogGroup"]["Ref"] for name in FUNCTIONS} < logs({}).keys()


def test_without_alarms_nothing_of_them_is_there() -> None:
    document = conditions.settled(DOCUMENT, {"Alarms": "false", "Dashboard": "false", "AlarmEmail": "a@example.com"})

    assert not [name for name, each in document["Resources"].items() if "CloudWatch" in each.get("Type", "")]
    assert not [name for name in document["Resources"] if name.startswith("Alarm")]
    assert {"AlarmTopicArn", "DashboardUrl"}.isdisjoint(document["Outputs"])
    assert "AlarmSubscription" not in properties()


def test_what_others_go_by_is_put_out() -> None:
    outputs = conditions.settled(DOCUMENT, {})["Outputs"]

    assert {
        "AlarmTopicArn",
        "BucketName",
        "DashboardUrl",
        "DeadLetterQueueUrl",
        "ParkStateMachineArn",
        "TableName",
        "Url",
    } <= outputs.keys()
    assert all(each["Description"].endswith(".") for each in outputs.values())


def test_every_parameter_says_what_it_is_for() -> None:
    assert [name for name, each in PARAMETERS.items() if not each["Description"].endswith(".")] == []
