"""Takes away what a first creation that failed has left, so that the next try starts from nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from botocore.exceptions import ClientError

from infra import progress
from infra.progress import Event
from infra.release import KEPT
from infra.stacks import Aws
from infra.trouble import Trouble, code_of, explained

#: How long to wait before asking for the table again.
POLL_SECONDS = 2.0


def remove_failed_creation(aws: Aws, stack_id: str, name: str) -> None:
    """Delete the stack, and the table and bucket that this very stack made and CloudFormation therefore keeps.

    They are empty: no one had a key yet. It is looked at all the same, and what has anything in it stays; a next
    deployment adopts it by its name, as it does what is left where this is broken off. A table or bucket that the stack
    had adopted is not touched.
    """
    made = _made(progress.history(aws, stack_id))
    after = progress.newest(aws, stack_id)
    with explained(f"delete the stack {name}"):
        aws.cloudformation.delete_stack(StackName=stack_id)
    status, events = progress.follow(aws, stack_id, after=after)
    if status != "DELETE_COMPLETE":
        raise Trouble(f"the stack {name} cannot be deleted: {progress.first_cause(events)}, then run make destroy")
    for logical_id, physical_id in made.items():
        _REMOVE[logical_id](aws, physical_id)


def _made(events: Sequence[Event]) -> dict[str, str]:
    """Return what the stack has created and not adopted: a name that was taken has not come to be its own."""
    adopted = {event.logical_id for event in events if event.status.startswith("IMPORT_")}
    return {
        event.logical_id: event.physical_id
        for event in events
        if event.logical_id in KEPT and event.logical_id not in adopted and event.status == "CREATE_COMPLETE"
    }


def _remove_table(aws: Aws, table: str) -> None:
    with explained(f"look into the table {table}"):
        try:
            found = aws.dynamodb.scan(TableName=table, Limit=1, ConsistentRead=True)
        except aws.dynamodb.exceptions.ResourceNotFoundException:
            return
    if found["Count"]:
        return
    with explained(f"delete the empty table {table}"):
        aws.dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
        _wait_for_table(aws, table)
        aws.dynamodb.delete_table(TableName=table)
    # A stack that is made meanwhile would adopt what is about to go.
    with explained(f"wait for the table {table} to go"):
        aws.dynamodb.get_waiter("table_not_exists").wait(TableName=table)


def _wait_for_table(aws: Aws, table: str) -> None:
    while aws.dynamodb.describe_table(TableName=table)["Table"]["TableStatus"] != "ACTIVE":
        time.sleep(POLL_SECONDS)


def _remove_bucket(aws: Aws, bucket: str) -> None:
    with explained(f"delete the empty bucket {bucket}"):
        try:
            aws.s3.delete_bucket(Bucket=bucket)
        except ClientError as error:
            # S3 deletes no bucket that has anything in it.
            if code_of(error) not in {"BucketNotEmpty", "NoSuchBucket"}:
                raise


_REMOVE: Final[Mapping[str, Callable[[Aws, str], None]]] = MappingProxyType(
    {"Table": _remove_table, "Bucket": _remove_bucket}
)
