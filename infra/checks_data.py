"""Checks of what holds a stack's data: the table, the bucket, and the secret that keys are hashed under."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from botocore.exceptions import ClientError

from infra import stacks
from infra.checks import Check, Finding, Site, bad, ok, warn
from infra.trouble import code_of


def table(site: Site) -> Iterator[Finding]:
    """Look at the table and its indexes, and whether it is guarded and encrypted as the template has it."""
    name = site.table
    found = site.aws.dynamodb.describe_table(TableName=name)["Table"]
    wanted = {
        index["IndexName"] for index in site.template["Resources"]["Table"]["Properties"]["GlobalSecondaryIndexes"]
    }
    indexes = {index["IndexName"]: index["IndexStatus"] for index in found.get("GlobalSecondaryIndexes", [])}
    if found["TableStatus"] not in {"ACTIVE", "UPDATING"}:
        yield bad(f"{name} is {found['TableStatus']}", "wait until it is ACTIVE")
    elif missing := sorted(wanted - indexes.keys()):
        yield bad(f"{name} has no index {', '.join(missing)}", "restore it once more, with all of its indexes")
    elif busy := sorted(index for index in wanted if indexes[index] != "ACTIVE"):
        yield warn(f"the indexes {', '.join(busy)} of {name} are not ACTIVE: lists leave things out", "wait")
    else:
        restored = " (restored)" if site.parameter("RestoredTable") else ""
        yield ok(f"{name}{restored} and its {len(wanted)} indexes are active")
    if found.get("BillingModeSummary", {}).get("BillingMode") != "PAY_PER_REQUEST":
        command = f"aws dynamodb update-table --table-name {name} --billing-mode PAY_PER_REQUEST"
        yield warn(f"{name} is not paid by request: it throttles at the units that were set", command)
    if not found.get("DeletionProtectionEnabled"):
        command = f"aws dynamodb update-table --table-name {name} --deletion-protection-enabled"
        yield warn(f"anybody who may delete {name} can do so by mistake: it is not protected", command)
    yield from _encryption(site, name, found.get("SSEDescription", {}))


def _encryption(site: Site, name: str, description: object) -> Iterator[Finding]:
    held = description if isinstance(description, dict) else {}
    key, wanted = held.get("KMSMasterKeyArn"), site.parameter("CustomerKeyArn")
    if held.get("Status") not in {"ENABLED", "UPDATING"}:
        key = None
    if key is None or (wanted and key != wanted):
        given = f",KMSMasterKeyId={wanted}" if wanted else ""
        command = f"aws dynamodb update-table --table-name {name} --sse-specification Enabled=true,SSEType=KMS{given}"
        yield warn(f"{name} is encrypted under {key or 'a key of DynamoDB alone'}, not as it was deployed", command)


def recovery(site: Site) -> Iterator[Finding]:
    """Look whether the table can be restored to a point in time."""
    name = site.table
    found = site.aws.dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    point = found.get("PointInTimeRecoveryDescription", {})
    if point.get("PointInTimeRecoveryStatus") != "ENABLED":
        setting = "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
        command = f"aws dynamodb update-continuous-backups --table-name {name} {setting}"
        yield bad(f"{name} cannot be restored: point-in-time recovery is off", command)
        return
    since = point.get("EarliestRestorableDateTime")
    yield ok(f"{name} can be restored to any point" + (f" since {since:%Y-%m-%d %H:%MZ}" if since else ""))


def expiry(site: Site) -> Iterator[Finding]:
    """Look whether items whose time is over are deleted."""
    name = site.table
    wanted = site.template["Resources"]["Table"]["Properties"]["TimeToLiveSpecification"]["AttributeName"]
    found = site.aws.dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if found["TimeToLiveStatus"] not in {"ENABLED", "ENABLING"} or found.get("AttributeName") != wanted:
        setting = f"--time-to-live-specification Enabled=true,AttributeName={wanted}"
        command = f"aws dynamodb update-time-to-live --table-name {name} {setting}"
        yield warn(f"nothing in {name} ever expires, and all of it is paid for", command)
        return
    yield ok(f"items of {name} expire by {wanted}")


def bucket_access(site: Site) -> Iterator[Finding]:
    """Look whether the bucket is closed to the public."""
    name = site.deployed.output("BucketName")
    try:
        block = site.aws.s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    except ClientError as error:
        if code_of(error) != "NoSuchPublicAccessBlockConfiguration":
            raise
        block = {}
    switches = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    off = [switch for switch in switches if not block.get(switch)]
    if off:
        setting = ",".join(f"{switch}=true" for switch in switches)
        command = f"aws s3api put-public-access-block --bucket {name} --public-access-block-configuration {setting}"
        yield bad(f"{name} can be opened to the public: {', '.join(off)} off", command)
        return
    yield ok(f"{name} is closed to the public")


def bucket_versions(site: Site) -> Iterator[Finding]:
    """Look whether what is overwritten or deleted by mistake can be had back for a day."""
    name = site.deployed.output("BucketName")
    status = site.aws.s3.get_bucket_versioning(Bucket=name).get("Status")
    if status != "Enabled":
        command = f"aws s3api put-bucket-versioning --bucket {name} --versioning-configuration Status=Enabled"
        yield warn(f"{name} keeps no earlier versions", command)
        return
    yield ok(f"{name} keeps earlier versions")


def bucket_origins(site: Site) -> Iterator[Finding]:
    """Look from which origins browsers may upload."""
    name = site.deployed.output("BucketName")
    wanted = [origin.strip() for origin in site.parameter("UploadOrigins").split(",")]
    try:
        rules = site.aws.s3.get_bucket_cors(Bucket=name)["CORSRules"]
    except ClientError as error:
        if code_of(error) != "NoSuchCORSConfiguration":
            raise
        rules = []
    found = [origin for rule in rules if "POST" in rule["AllowedMethods"] for origin in rule["AllowedOrigins"]]
    if sorted(found) != sorted(wanted):
        said = f"browsers may upload to {name} from {', '.join(found) or 'nowhere'}, not from {', '.join(wanted)}"
        yield warn(f"{said}, as it was deployed", f"the CORS rules of {name} in the S3 console")
        return
    yield ok(f"browsers may upload to {name} from {', '.join(found)}")


def bucket_encryption(site: Site) -> Iterator[Finding]:
    """Look whether new objects are encrypted as the template has it."""
    name = site.deployed.output("BucketName")
    wanted = site.parameter("CustomerKeyArn")
    [rule, *_] = site.aws.s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    default = rule.get("ApplyServerSideEncryptionByDefault", {})
    key = default.get("KMSMasterKeyID", "")
    if wanted and key != wanted:
        said = f"new objects of {name} are not encrypted under {wanted}"
        yield warn(said, f"the default encryption of {name} in the S3 console")
        return
    yield ok(f"new objects of {name} are encrypted ({default.get('SSEAlgorithm', 'AES256')})")


def secret(site: Site) -> Iterator[Finding]:
    """Look whether the secret that API keys are hashed under is kept."""
    name = stacks.pepper_name(site.deployed.name)
    pepper = stacks.find_pepper(site.aws, site.deployed.name)
    if pepper is None:
        yield bad(
            f"{name} is not there: the next deployment makes another, and no key works any more", _PUT.format(name)
        )
        return
    yield ok(f"{name} is there")


_PUT: Final = "before you deploy, put STEPWELL_KEY_PEPPER of the function api into the parameter {}"

CHECKS: Final = (
    Check(about="table", look=table, wants="dynamodb:DescribeTable"),
    Check(about="restore", look=recovery, wants="dynamodb:DescribeContinuousBackups"),
    Check(about="expiry", look=expiry, wants="dynamodb:DescribeTimeToLive"),
    Check(about="bucket", look=bucket_access, wants="s3:GetBucketPublicAccessBlock"),
    Check(about="bucket versions", look=bucket_versions, wants="s3:GetBucketVersioning"),
    Check(about="bucket origins", look=bucket_origins, wants="s3:GetBucketCORS"),
    Check(about="bucket encryption", look=bucket_encryption, wants="s3:GetEncryptionConfiguration"),
    Check(about="secret", look=secret, wants="ssm:GetParameter, and kms:Decrypt under its key"),
)
