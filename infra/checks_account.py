"""Checks of who asks, from where, with which Python and clock, and of what they may do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import chain
from types import MappingProxyType
from typing import Any, Final

from botocore.exceptions import ClientError

from infra import runtimes
from infra.checks import Caller, Check, Finding, Site, bad, ok, warn
from infra.stacks import Aws
from infra.trouble import Trouble, explained

#: A clock that is off by this much will soon be off by more.
SKEWED: Final = timedelta(minutes=1)
#: By this much, AWS takes no signature.
REFUSED: Final = timedelta(minutes=5)

#: What `make deploy` itself calls.
DEPLOYS: Final = (
    "cloudformation:CreateChangeSet",
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStacks",
    "cloudformation:ExecuteChangeSet",
    "s3:CreateBucket",
    "s3:GetObject",
    "s3:PutObject",
    "ssm:GetParameter",
    "ssm:PutParameter",
)
#: What CloudFormation calls in the caller's name, by type of resource.
CREATES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "AWS::ApiGateway::Deployment": ("apigateway:POST",),
        "AWS::ApiGateway::RestApi": ("apigateway:PATCH", "apigateway:POST", "apigateway:PUT"),
        "AWS::ApiGateway::Stage": ("apigateway:PATCH", "apigateway:POST"),
        "AWS::CloudWatch::Alarm": ("cloudwatch:PutMetricAlarm",),
        "AWS::CloudWatch::Dashboard": ("cloudwatch:PutDashboard",),
        "AWS::DynamoDB::Table": (
            "dynamodb:CreateTable",
            "dynamodb:DescribeTable",
            "dynamodb:UpdateContinuousBackups",
            "dynamodb:UpdateTable",
            "dynamodb:UpdateTimeToLive",
        ),
        "AWS::Events::Rule": ("events:PutRule", "events:PutTargets"),
        "AWS::IAM::ManagedPolicy": ("iam:CreatePolicy", "iam:CreatePolicyVersion"),
        "AWS::IAM::Role": ("iam:AttachRolePolicy", "iam:CreateRole", "iam:PassRole", "iam:PutRolePolicy"),
        "AWS::Lambda::EventInvokeConfig": ("lambda:PutFunctionEventInvokeConfig",),
        "AWS::Lambda::Function": (
            "lambda:CreateFunction",
            "lambda:GetFunction",
            "lambda:PutFunctionRecursionConfig",
            "lambda:UpdateFunctionCode",
            "lambda:UpdateFunctionConfiguration",
        ),
        "AWS::Lambda::Permission": ("lambda:AddPermission",),
        "AWS::Logs::LogGroup": ("logs:CreateLogGroup", "logs:PutRetentionPolicy"),
        "AWS::S3::Bucket": (
            "s3:PutBucketCORS",
            "s3:PutBucketNotification",
            "s3:PutBucketOwnershipControls",
            "s3:PutBucketPublicAccessBlock",
            "s3:PutBucketVersioning",
            "s3:PutEncryptionConfiguration",
            "s3:PutLifecycleConfiguration",
        ),
        "AWS::S3::BucketPolicy": ("s3:PutBucketPolicy",),
        "AWS::SNS::Subscription": ("sns:Subscribe",),
        "AWS::SNS::Topic": ("sns:CreateTopic", "sns:SetTopicAttributes"),
        "AWS::SNS::TopicPolicy": ("sns:SetTopicAttributes",),
        "AWS::SQS::Queue": ("sqs:CreateQueue", "sqs:SetQueueAttributes"),
        "AWS::SQS::QueuePolicy": ("sqs:SetQueueAttributes",),
        "AWS::StepFunctions::StateMachine": ("states:CreateStateMachine", "states:UpdateStateMachine"),
    }
)


def introduce(aws: Aws) -> tuple[Caller | None, list[Finding]]:
    """Return who the caller is, None where AWS does not say, and what there is to say of credentials and clock.

    The clock is told by the very answer, a refusal too: where it is wrong, that is why AWS knows nobody.
    """
    caller: Caller | None = None
    before = datetime.now(UTC)
    try:
        with explained("ask AWS who you are"):
            answer = aws.sts.get_caller_identity()
    except Trouble as trouble:
        found = bad(str(trouble), about="credentials")
        cause = trouble.__cause__
        metadata: Any = cause.response.get("ResponseMetadata", {}) if isinstance(cause, ClientError) else {}
    else:
        caller = Caller(account=answer["Account"], arn=answer["Arn"])
        found = _known(caller, aws.region)
        metadata = answer["ResponseMetadata"]
    date = metadata.get("HTTPHeaders", {}).get("date")
    here = before + (datetime.now(UTC) - before) / 2
    return caller, [found, *([clock(parsedate_to_datetime(date) - here)] if date else [])]


def _known(caller: Caller, region: str) -> Finding:
    who = f"{caller.arn} in {region}"
    if caller.arn.endswith(":root"):
        return warn(f"{who}: the root user can do anything", "sign in as somebody who can do less", about="credentials")
    return ok(who, about="credentials")


def clock(ahead: timedelta) -> Finding:
    """Return what there is to say of AWS's clock being so much ahead of this machine's."""
    said = f"this machine is {abs(ahead).total_seconds():.0f} s {'behind' if ahead > timedelta() else 'ahead of'} AWS"
    mend = "set the clock (timedatectl set-ntp true)"
    # AWS tells its time in whole seconds.
    if abs(ahead) > REFUSED:
        return bad(f"{said}, which then takes no signature", mend, about="clock")
    if abs(ahead) > SKEWED:
        return warn(said, mend, about="clock")
    return ok(said, about="clock")


def python(_site: Site) -> Iterable[Finding]:
    """Look whether Lambda runs the Python that a deployment from here would run on."""
    ours, offered = runtimes.ours(), runtimes.offered()
    if ours not in offered:
        yield bad(
            f"Lambda does not run {ours}, which is this one",
            f"make clean, then make deploy PYTHON=/path/to/{offered[-1]}",
        )
        return
    yield ok(f"{ours}, which Lambda runs")


def permissions(site: Site) -> Iterator[Finding]:
    """Ask IAM which of the calls that a deployment takes would be denied the caller."""
    arn = site.caller.arn
    if arn.endswith(":root"):
        yield ok("the root user may deploy")
        return
    source = _source(site)
    if source is None:
        yield warn(f"could not look: IAM simulates users and roles, and {arn} is neither")
        return
    actions = sorted({*DEPLOYS, *chain.from_iterable(CREATES.values())})
    pages = site.aws.client("iam").get_paginator("simulate_principal_policy")
    results = [
        result
        for page in pages.paginate(PolicySourceArn=source, ActionNames=actions)
        for result in page["EvaluationResults"]
    ]
    denied = [result["EvalActionName"] for result in results if result["EvalDecision"] != "allowed"]
    if denied:
        said = f"make deploy would be denied {', '.join(denied)} (as IAM simulates it for every resource)"
        yield warn(said, f"allow them to {source}, or have somebody deploy who may")
        return
    yield ok(f"the {len(results)} calls of a deployment are allowed")


def _source(site: Site) -> str | None:
    """Return the ARN of the user or the role whose policies the caller has."""
    _, _, service, _, _, resource = site.caller.arn.split(":", 5)
    kind, _, name = resource.partition("/")
    if service == "iam" and kind in {"user", "role"}:
        return site.caller.arn
    if kind != "assumed-role":
        return None
    # A session's ARN leaves out the path of its role.
    role = site.aws.client("iam").get_role(RoleName=name.partition("/")[0])
    return str(role["Role"]["Arn"])


CHECKS: Final = (
    Check(about="python", look=python, wants="nothing", of_stack=False),
    Check(about="permissions", look=permissions, wants="iam:SimulatePrincipalPolicy, iam:GetRole", of_stack=False),
)
