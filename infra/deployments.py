"""The private bucket of an account and region that CloudFormation takes templates and zips from, for every stage."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from botocore.exceptions import ClientError

from infra.stacks import Aws
from infra.trouble import Trouble, code_of, explained

#: How long what a stack no longer uses is kept: CloudFormation asks for the zip before, while it rolls an update back.
_KEPT: Final = timedelta(days=90)
#: What is older is uploaded once more where it is to be used again, so that no other deployment takes it for refuse.
_FRESH: Final = timedelta(days=30)
_ABSENT: Final = frozenset({"404", "NoSuchBucket", "NoSuchKey", "NotFound"})


@dataclass(frozen=True, kw_only=True)
class Deployments:
    """The bucket. Each call says whose it must be, so that one that somebody else made under its name is not used."""

    aws: Aws
    account: str
    partition: str

    @classmethod
    def of_caller(cls, aws: Aws) -> Deployments:
        """Return the caller's; Trouble where AWS does not know the caller. The bucket may not be there yet."""
        with explained("ask who you are"):
            caller = aws.sts.get_caller_identity()
        return cls(aws=aws, account=caller["Account"], partition=caller["Arn"].split(":")[1])

    @property
    def name(self) -> str:
        """The bucket's name."""
        return f"stepwell-deployments-{self.account}-{self.aws.region}"

    def url(self, key: str) -> str:
        """Return what CloudFormation fetches an object by."""
        return f"{self.aws.s3.meta.endpoint_url}/{self.name}/{key}"

    def ensure(self) -> bool:
        """Have the bucket, and return whether it was made now.

        What it must be is set before its policy, so that a bucket without one is taken up where it was left. Two who
        make it at once set the same.
        """
        made = not self._there()
        if made:
            self._make()
        if not self._has_policy():
            self._settle()
        return made

    def holds(self, key: str) -> bool:
        """Return whether the object is there and will be for long enough."""
        with explained(f"look into the bucket {self.name}"):
            try:
                found = self.aws.s3.head_object(Bucket=self.name, Key=key, ExpectedBucketOwner=self.account)
            except ClientError as error:
                if code_of(error) in _ABSENT:
                    return False
                raise
        return datetime.now(UTC) - found["LastModified"] < _FRESH

    def put(self, key: str, content: bytes) -> None:
        """Write an object, whole or not at all. A key has one content, so two who write it write the same."""
        checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
        with explained(f"upload to the bucket {self.name}"):
            self.aws.s3.put_object(
                Bucket=self.name, Key=key, Body=content, ChecksumSHA256=checksum, ExpectedBucketOwner=self.account
            )

    def remove(self, key: str) -> None:
        """Delete an object; one that is not there is deleted already."""
        with explained(f"remove from the bucket {self.name}"):
            self.aws.s3.delete_object(Bucket=self.name, Key=key, ExpectedBucketOwner=self.account)

    def remove_bucket(self) -> None:
        """Delete the bucket if nothing is in it: another deployment may have come to use it."""
        with explained(f"delete the bucket {self.name}"):
            try:
                self.aws.s3.delete_bucket(Bucket=self.name, ExpectedBucketOwner=self.account)
            except ClientError as error:
                if code_of(error) != "BucketNotEmpty":
                    raise

    def prune(self, stack_name: str, *, keep: Collection[str]) -> None:
        """Delete what the stack has not used for long. What it uses is kept however old: no rule by age could tell.

        An object that another deployment of the stack is about to use is younger than those that are deleted.
        """
        before = datetime.now(UTC) - _KEPT
        with explained(f"remove from the bucket {self.name}"):
            pages = self.aws.s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=f"{stack_name}/", ExpectedBucketOwner=self.account
            )
            old = [
                item["Key"]
                for page in pages
                for item in page.get("Contents", [])
                if item["Key"] not in keep and item["LastModified"] < before
            ]
        for key in old:
            self.remove(key)

    def _there(self) -> bool:
        with explained(f"use the bucket {self.name}, if it is yours at all"):
            try:
                self.aws.s3.head_bucket(Bucket=self.name, ExpectedBucketOwner=self.account)
            except ClientError as error:
                if code_of(error) in _ABSENT:
                    return False
                raise
        return True

    def _make(self) -> None:
        region = self.aws.region
        with explained(f"make the bucket {self.name}"):
            try:
                if region == "us-east-1":
                    self.aws.s3.create_bucket(Bucket=self.name)
                else:
                    # The types list the regions of their day.
                    place = {"LocationConstraint": region}
                    self.aws.s3.create_bucket(Bucket=self.name, CreateBucketConfiguration=place)  # type: ignore[arg-type]
            except ClientError as error:
                if code_of(error) == "BucketAlreadyExists":
                    raise Trouble(f"the bucket {self.name} is somebody else's: deploy to another region") from error
                if code_of(error) != "BucketAlreadyOwnedByYou":
                    raise

    def _has_policy(self) -> bool:
        with explained(f"read the policy of the bucket {self.name}"):
            try:
                self.aws.s3.get_bucket_policy(Bucket=self.name, ExpectedBucketOwner=self.account)
            except ClientError as error:
                if code_of(error) == "NoSuchBucketPolicy":
                    return False
                raise
        return True

    def _settle(self) -> None:
        arn = f"arn:{self.partition}:s3:::{self.name}"
        policy = {
            "Version": "2012-10-17",
            "Statement": {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        }
        with explained(f"make the bucket {self.name} private"):
            self.aws.s3.put_public_access_block(
                Bucket=self.name,
                ExpectedBucketOwner=self.account,
                PublicAccessBlockConfiguration={
                    "BlockPublicAcls": True,
                    "BlockPublicPolicy": True,
                    "IgnorePublicAcls": True,
                    "RestrictPublicBuckets": True,
                },
            )
            self.aws.s3.put_bucket_encryption(
                Bucket=self.name,
                ExpectedBucketOwner=self.account,
                ServerSideEncryptionConfiguration={
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                },
            )
            self.aws.s3.put_bucket_policy(Bucket=self.name, ExpectedBucketOwner=self.account, Policy=json.dumps(policy))
