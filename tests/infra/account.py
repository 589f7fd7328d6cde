"""An AWS account on this machine for the tools that deploy: moto's, behind a CloudFormation that can change stacks."""

from __future__ import annotations

import functools
import itertools
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from infra import archive, changes, dependencies, leftovers, package, progress, template
from infra.local.aws import ACCOUNT, REGION, aws
from infra.stacks import Aws
from tests.infra.cloudformation import CloudFormation

DEPLOYMENTS = f"stepwell-deployments-{ACCOUNT}-{REGION}"
_numbers = itertools.count(1)


class Account:
    """What is there, and what a test does to it."""

    def __init__(self, tools: Aws, packaged: Path) -> None:
        self.tools = tools
        self.cloudformation = CloudFormation(aws().url)
        self.cloudformation.attach(tools.session)
        self.packaged = packaged
        #: What the zip holds in the place of all the code.
        self.code = b"code"
        #: Clients that nothing stands in the way of.
        self.client = functools.cache(boto3.Session().client)

    def package(self, folder: Path, *, stage: str) -> Path:
        """Hand out the template that was packaged once."""
        assert stage
        (folder / "deployment.zip").write_bytes(self.code)
        return Path(shutil.copy(self.packaged, folder / "sam.json"))

    @property
    def tables(self) -> Sequence[str]:
        found: Sequence[str] = self.client("dynamodb").list_tables()["TableNames"]
        return found

    @property
    def buckets(self) -> Sequence[str]:
        return [each["Name"] for each in self.client("s3").list_buckets()["Buckets"]]

    @property
    def uploaded(self) -> Sequence[str]:
        """The keys of the deployment bucket."""
        found = self.client("s3").list_objects_v2(Bucket=DEPLOYMENTS).get("Contents", [])
        return [each["Key"] for each in found]

    def forget_deployments(self) -> None:
        """Have no deployment bucket, as before the first of all."""
        if DEPLOYMENTS in self.buckets:
            for key in self.uploaded:
                self.client("s3").delete_object(Bucket=DEPLOYMENTS, Key=key)
            self.client("s3").delete_bucket(Bucket=DEPLOYMENTS)

    def put(self, table: str, text: str) -> None:
        """Write an item."""
        self.client("dynamodb").put_item(TableName=table, Item={"pk": {"S": text}, "sk": {"S": text}})

    def holds(self, table: str, text: str) -> bool:
        """Return whether that item is there."""
        key = {"pk": {"S": text}, "sk": {"S": text}}
        return "Item" in self.client("dynamodb").get_item(TableName=table, Key=key)

    def pepper(self, name: str) -> str:
        """Return the secret of a stack."""
        found = self.client("ssm").get_parameter(Name=f"/stepwell/{name}/key-pepper", WithDecryption=True)
        return str(found["Parameter"]["Value"])


@pytest.fixture(scope="module")
def _module_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with _account(tmp_path_factory.mktemp("package")) as account:
        yield account


@pytest.fixture
def account(_module_account: Account) -> Account:
    """The module's account, with a CloudFormation that nothing is set in. Each test has a stage of its own."""
    fresh = CloudFormation(aws().url)
    kept = {"stacks": _module_account.cloudformation.stacks}
    vars(_module_account.cloudformation).update(vars(fresh) | kept)
    _module_account.code = b"code"
    return _module_account


@pytest.fixture
def stage() -> str:
    """A stage that there is nothing of."""
    return f"t{next(_numbers)}"


@contextmanager
def _account(folder: Path) -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as patch:
        # The template is what counts here; the zip is another's business, and so is whether the template passes.
        patch.setattr(dependencies, "fetch", lambda *_, **__: folder)
        patch.setattr(dependencies, "compile_sources", lambda _: None)
        patch.setattr(archive, "write", lambda *_: None)
        packaged = package.package(folder, stage="t")
        patch.undo()
        for name, value in {
            "AWS_ENDPOINT_URL": aws().url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
        account = Account(Aws(boto3.Session()), packaged)
        patch.setattr(package, "package", account.package)
        patch.setattr(template, "load", functools.cache(template.load))
        patch.setattr(package, "check", lambda _: None)
        for module in (changes, leftovers, progress):
            patch.setattr(module, "POLL_SECONDS", 0)
        # moto takes the refusal of calls without TLS for one of all calls.
        patch.setattr(FakeBucket, "get_permission", lambda *_: PermissionResult.NEUTRAL)
        patch.setattr(Aws, "of_caller", lambda: account.tools)
        yield account
