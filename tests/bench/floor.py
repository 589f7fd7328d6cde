"""The floor: the bare loop of conditional PynamoDB puts that a durable step cannot do without."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass
from typing import ClassVar, Final

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.models import Model


class FloorItem(Model):
    """An item of the size of a usual step's record, in the app's own table."""

    class Meta:
        table_name: ClassVar = ""  # set by `puts`
        region = None
        host = None  # botocore's own way: AWS_ENDPOINT_URL_DYNAMODB

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    status = UnicodeAttribute()
    attempt = NumberAttribute()
    started_at = UnicodeAttribute()
    finished_at = UnicodeAttribute()
    output = UnicodeAttribute()
    claims = UnicodeAttribute()
    revision = NumberAttribute()
    write_id = UnicodeAttribute()


@dataclass(frozen=True, kw_only=True)
class Puts:
    """How long puts took, in seconds each."""

    wall: float
    #: Processor time of this process.
    cpu: float


#: What has been put and not cleared.
_loops: list[str] = []
_CLAIMS: Final = (
    '{"step-8":{"attempt":1,"at":"2026-01-01T00:00:00.000000+00:00","owner":"00000000-0000-0000-0000-000000000000",'
    '"deadline":"2026-01-01T00:15:00.000000+00:00"}}'
)


def puts(count: int) -> Puts:
    """Make so many puts, one after the other, and return what one took."""
    if FloorItem.Meta.table_name != os.environ["STEPWELL_TABLE"]:
        FloorItem.Meta.table_name = os.environ["STEPWELL_TABLE"]
        FloorItem._connection = None
        _put("warm", 0)
    loop = uuid.uuid4().hex
    _loops.append(loop)
    began, cpu = time.perf_counter(), time.process_time()
    for number in range(count):
        _put(loop, number)
    return Puts(wall=(time.perf_counter() - began) / count, cpu=(time.process_time() - cpu) / count)


def clear(count: int) -> None:
    """Remove what the last loops put, each of so many: moto's calls take the longer the fuller the table is."""
    with FloorItem.batch_write() as batch:
        while _loops:
            loop = _loops.pop()
            for number in range(count):
                batch.delete(FloorItem(f"FLOOR#{loop}", f"STEP#{number}"))


def _put(loop: str, number: int) -> None:
    item = FloorItem(
        f"FLOOR#{loop}",
        f"STEP#{number}",
        status="completed",
        attempt=1,
        started_at="2026-01-01T00:00:00.000000+00:00",
        finished_at="2026-01-01T00:00:00.001000+00:00",
        output='{"order":"ord_001","n":7}',
        claims=_CLAIMS,
        revision=1,
        write_id="0a1b2c3d",
    )
    item.save(condition=FloorItem.pk.does_not_exist())
