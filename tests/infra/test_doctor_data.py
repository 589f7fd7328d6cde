"""Checks of table, bucket and secret, on moto's DynamoDB, S3 and SSM."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from infra import checks_data as checks
from infra import stacks
from infra.checks import Look, Site
from infra.local.aws import aws
from infra.local.resources import Clients
from tests.infra.site import NAME, a_site, a_stack, document, lines, stub

TABLE_PROPERTIES = ("AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema")

_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A table and a bucket of moto's that are as the template has them."""

    table: str
    bucket: str
    clients: Clients

    def site(self, *, stubs: Mapping[str, Any] | None = None, **parameters: str) -> Site:
        outputs = {"TableName": self.table, "BucketName": self.bucket}
        return a_site(stack=a_stack(outputs=outputs, parameters=parameters), stubs=stubs)


@pytest.fixture(scope="module")
def clients() -> Clients:
    return Clients.at(aws().url, dynamodb_endpoint=None)


@pytest.fixture
def kept(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws().url)
    name = f"doctor-{next(_numbers)}"
    properties = document()["Resources"]["Table"]["Properties"]
    clients.dynamodb.create_table(
        TableName=name,
        DeletionProtectionEnabled=True,
        SSESpecification={"Enabled": True, "SSEType": "KMS"},
        **{key: properties[key] for key in TABLE_PROPERTIES},
    )
    clients.dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=properties["TimeToLiveSpecification"])
    clients.dynamodb.update_continuous_backups(
        TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    clients.s3.create_bucket(Bucket=name)
    clients.s3.put_public_access_block(
        Bucket=name,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
    )
    clients.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    clients.s3.put_bucket_encryption(
        Bucket=name,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    clients.s3.put_bucket_cors(
        Bucket=name, CORSConfiguration={"CORSRules": [{"AllowedMethods": ["POST"], "AllowedOrigins": ["*"]}]}
    )
    yield Kept(table=name, bucket=name, clients=clients)
    clients.dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
    clients.dynamodb.delete_table(TableName=name)
    clients.s3.delete_bucket(Bucket=name)


ALL = (
    checks.table,
    checks.recovery,
    checks.expiry,
    checks.bucket_access,
    checks.bucket_versions,
    checks.bucket_origins,
    checks.bucket_encryption,
)


def test_what_is_as_the_template_has_it_is_well(kept: Kept) -> None:
    found = [line for look in ALL for line in lines(kept.site(), look)]

    assert len(found) == len(ALL)
    assert all(line.startswith("ok it: ") for line in found), found


def test_a_restored_table_is_looked_at_in_the_stacks_place_and_what_it_lacks_is_told(kept: Kept) -> None:
    restored = f"{kept.table}-restored"
    dynamodb = kept.clients.dynamodb
    described = dynamodb.describe_table(TableName=kept.table)["Table"]
    attributes = described["AttributeDefinitions"]
    dynamodb.create_table(
        TableName=restored,
        AttributeDefinitions=[each for each in attributes if each["AttributeName"] in {"pk", "sk"}],
        KeySchema=described["KeySchema"],
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    )
    site = kept.site(RestoredTable=restored)

    found = [line for look in (checks.table, checks.recovery, checks.expiry) for line in lines(site, look)]
    dynamodb.delete_table(TableName=restored)

    assert [line.split()[0] for line in found] == ["bad", "warn", "warn", "warn", "bad", "warn"]
    told = "\n".join(found)
    for command in (
        f"{restored} has no index by-project, by-workflow, sweep",
        f"aws dynamodb update-table --table-name {restored} --billing-mode PAY_PER_REQUEST",
        f"aws dynamodb update-table --table-name {restored} --deletion-protection-enabled",
        f"aws dynamodb update-table --table-name {restored} --sse-specification Enabled=true,SSEType=KMS",
        f"aws dynamodb update-continuous-backups --table-name {restored} --point-in-time-recovery-specification",
        f"aws dynamodb update-time-to-live --table-name {restored} --time-to-live-specification Enabled=true,",
    ):
        assert command in told


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"TableStatus": "ARCHIVED"}, "bad it: T is ARCHIVED | mend: wait until it is ACTIVE"),
        ({"indexes": "CREATING"}, "warn it: the indexes by-project, by-workflow, sweep of T are not ACTIVE: lists"),
    ],
)
def test_a_table_that_is_not_ready_is_told(kept: Kept, change: dict[str, str], line: str) -> None:
    described: Any = kept.clients.dynamodb.describe_table(TableName=kept.table)["Table"]
    names = [index["IndexName"] for index in described["GlobalSecondaryIndexes"]]
    indexes = [{"IndexName": name, "IndexStatus": change.get("indexes", "ACTIVE")} for name in names]
    answer = {"TableStatus": change.get("TableStatus", "ACTIVE"), "GlobalSecondaryIndexes": indexes}
    site = kept.site(stubs={"dynamodb": stub("dynamodb", ("describe_table", {"Table": answer}))})

    assert lines(site, checks.table)[0].startswith(line.replace("T ", f"{kept.table} ", 1))


def test_another_key_than_the_stack_was_given_is_told(kept: Kept) -> None:
    site = kept.site(CustomerKeyArn="arn:aws:kms:us-east-1:123456789012:key/ours")

    table = lines(site, checks.table)[-1]
    [bucket] = lines(site, checks.bucket_encryption)

    assert table.startswith(f"warn it: {kept.table} is encrypted under arn:aws:kms")
    assert table.endswith("SSEType=KMS,KMSMasterKeyId=arn:aws:kms:us-east-1:123456789012:key/ours")
    assert bucket.startswith(f"warn it: new objects of {kept.bucket} are not encrypted under arn:aws:kms")


def test_a_bucket_that_was_changed_by_hand_is_told(kept: Kept) -> None:
    name, s3 = kept.bucket, kept.clients.s3
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    s3.delete_bucket_cors(Bucket=name)
    site = kept.site()

    [access] = lines(site, checks.bucket_access)
    [versions] = lines(site, checks.bucket_versions)
    [origins] = lines(site, checks.bucket_origins)

    assert access.startswith(
        f"bad it: {name} can be opened to the public: BlockPublicPolicy, IgnorePublicAcls, Restrict"
    )
    assert f"aws s3api put-public-access-block --bucket {name} " in access
    assert versions.startswith(f"warn it: {name} keeps no earlier versions | mend: aws s3api put-bucket-versioning")
    assert origins.startswith(f"warn it: browsers may upload to {name} from nowhere, not from *, as it was deployed")
    s3.delete_public_access_block(Bucket=name)
    assert lines(site, checks.bucket_access)[0].startswith("bad it: ")


# moto has a code of its own for the time to live of a table that is not there.
@pytest.mark.parametrize("look", [look for look in ALL if look is not checks.expiry])
def test_what_is_not_there_is_bad(kept: Kept, look: Look) -> None:
    outputs = {"TableName": "never-made", "BucketName": "never-made"}

    [line] = lines(a_site(stack=a_stack(outputs=outputs)), look)

    assert line.startswith("bad it: is not there (")
    assert line.endswith("mend: make destroy STAGE=prod, then make deploy STAGE=prod; the data is kept")


def test_the_secret_is_there_or_its_loss_is_told_with_what_saves_the_keys(kept: Kept) -> None:
    [lost] = lines(kept.site(), checks.secret)
    pepper = stacks.ensure_pepper(kept.site().aws, NAME)
    [there] = lines(kept.site(), checks.secret)
    kept.clients.ssm.delete_parameter(Name=stacks.pepper_name(NAME))

    assert lost.startswith(f"bad it: /stepwell/{NAME}/key-pepper is not there: the next deployment makes another")
    assert "put STEPWELL_KEY_PEPPER of the function api into the parameter" in lost
    assert there == f"ok it: /stepwell/{NAME}/key-pepper is there"
    assert pepper not in there


def test_what_nobody_may_read_is_told_and_no_fault(kept: Kept) -> None:
    denied = {
        "dynamodb": stub("dynamodb", *[(call, "AccessDeniedException") for call in ("describe_table",)]),
        "ssm": stub("ssm", ("get_parameter", "AccessDeniedException")),
        "s3": stub("s3", ("get_public_access_block", "AccessDenied")),
    }
    for look in (checks.table, checks.bucket_access):
        assert lines(kept.site(stubs=denied), look) == [
            "warn it: could not look: your credentials may not | mend: allow x:Look"
        ]
    assert lines(kept.site(stubs=denied), checks.secret)[0].startswith(
        "warn it: could not look: cannot read the secret"
    )
