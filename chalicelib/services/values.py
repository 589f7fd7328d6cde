"""Large values: put outside their record when it is written, fetched when something needs them."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, replace

from chalicelib.domain.step import PastAttempt, StepRecord
from chalicelib.domain.value import Json, Offloaded, Resolve, Value, dumps, resolved
from chalicelib.gateways.payloads import PayloadStore

#: A value whose JSON text is longer is kept in S3. A byte more in the record is written and read with every use of it.
INLINE_BYTES = 32 * 1024
#: The output of a past attempt, of which a record may hold many, is kept in S3 from here on.
PAST_BYTES = 1024
#: A step's output may not be longer.
LARGEST_OUTPUT_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Values:
    """A project's large values."""

    project_id: str
    payloads: PayloadStore

    def kept(self, value: Json, *, most: int = INLINE_BYTES) -> Value:
        """Return what goes into the record: the value, or the handle of where it has been put if it is over ``most``.

        Putting is idempotent, and it comes before the record is written: a value that no record names is harmless.
        """
        text = dumps(value)
        # Most values are short: their length in characters tells without encoding them.
        if len(text) * 4 <= most or len(encoded := text.encode()) <= most:
            return value
        return Offloaded(digest=self.payloads.put(self.project_id, text), size=len(encoded))

    def stored(self, record: StepRecord) -> StepRecord:
        """Return a step's record as it is written: what is large in it lies outside, past attempts' outputs sooner."""
        if record.wait is None and not record.attempts:
            # Its output has been looked at when the attempt ended.
            return record
        output = record.output if isinstance(record.output, Offloaded) else self.kept(record.output)
        return replace(record, output=output, attempts=tuple(self._past(one) for one in record.attempts))

    def _past(self, attempt: PastAttempt) -> PastAttempt:
        if attempt.output is None or isinstance(attempt.output, Offloaded):
            return attempt
        return replace(attempt, output=self.kept(attempt.output, most=PAST_BYTES))

    def fetched(self, value: Value) -> Json:
        """Return a value, fetched if it lies outside its record."""
        return resolved(value, self.resolver())

    def resolver(self) -> Resolve:
        """Return a function that fetches offloaded values, each once."""

        @functools.cache
        def fetched(handle: Offloaded) -> Json:
            value: Json = json.loads(self.payloads.get(self.project_id, handle.digest))
            return value

        return fetched
