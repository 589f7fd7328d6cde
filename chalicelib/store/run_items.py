"""The item of a run and of the values apart from it, mapped to and from the domain's run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Self

from chalicelib.domain.run import Lease, Run, RunStatus
from chalicelib.domain.step import WaitKind
from chalicelib.domain.usage import UNIT_NAMES, Units
from chalicelib.domain.value import Value, dumps
from chalicelib.store import keys, times, usages, values
from chalicelib.store.keys import Key
from chalicelib.store.table import Flag, Item, MaybeText, MaybeTime, MaybeWhole, Text, Time, Whole, get_many

#: A payload or output of more text than this lies in an item of its own: the run itself is written by every lease, verb
#: and end, and read by every poll, and DynamoDB charges by the whole item.
LARGEST_IN_ROOT: Final = 1024


class ValueItem(Item):
    """A payload or output apart from its run, under the digest of its text: written twice, it is the same twice."""

    text = Text()

    @classmethod
    def of(cls, run: Run) -> Iterator[ValueItem]:
        """Yield what lies apart from the run itself; it must be written before the run that points to it."""
        for value, key_of in ((run.payload, keys.run_payload), (run.output, keys.run_output)):
            text = values.inline(value)
            if text is not None and _large(text):
                yield cls(*key_of(run.id, values.digest_of(text)), text=text)

    @classmethod
    def of_excerpt(cls, run_id: str, excerpt: str | None) -> Iterator[ValueItem]:
        """Yield what lists show of a prompt that they cannot read, if there is any such."""
        if excerpt is not None:
            yield cls(*keys.run_excerpt(run_id), text=excerpt)


class RunItem(Item):
    """The root of a run's collection: the run itself."""

    project_id = Text()
    workflow_id = Text()
    list_key = Text()
    version_id = Text()
    version = Whole()
    connection_id = Text()
    status = Text()
    triggered_by = Text()
    created_by = Text()
    created_by_key_id = MaybeText()
    created_at = Time()
    updated_at = Time()
    started_at = MaybeTime()
    finished_at = MaybeTime()
    expires_at = MaybeTime()
    payload = MaybeText()
    payload_handle = MaybeText()
    #: The digest of a payload that lies in an item of its own.
    payload_apart = MaybeText()
    output = MaybeText()
    output_handle = MaybeText()
    #: The digest of an output that lies in an item of its own.
    output_apart = MaybeText()
    error = MaybeText()
    tags = MaybeText()
    max_parallel_steps = MaybeWhole()
    parent_run_id = MaybeText()
    parent_step = MaybeText()
    depth = MaybeWhole()
    number = MaybeWhole()
    #: What it has used of AWS, each unit by itself, so that whoever has used some can add it without having read.
    used_api_requests = MaybeWhole()
    used_invocations = MaybeWhole()
    used_lambda_mb_ms = MaybeWhole()
    used_write_halves = MaybeWhole()
    used_read_halves = MaybeWhole()
    used_transitions = MaybeWhole()
    used_s3_writes = MaybeWhole()
    used_s3_reads = MaybeWhole()
    used_fargate_cpu_ms = MaybeWhole()
    used_fargate_mb_seconds = MaybeWhole()
    usage = MaybeText()
    branch_name = MaybeText()
    pr_url = MaybeText()
    retry_of_run_id = MaybeText()
    disabled = MaybeText()
    resets = MaybeText()
    #: There exactly while the run is one of those that its workflow's counter counts.
    counted = Flag()
    hold_until = MaybeTime()
    wake_seq = Whole()
    lease_seq = Whole()
    lease_owner = MaybeText()
    lease_expires_at = MaybeTime()
    claims = MaybeText()
    park_token = MaybeText()
    waiting_for = MaybeText()
    #: In milliseconds; with the shard it is there exactly while the run has not ended.
    next_check_at = MaybeWhole()
    sweep_shard = MaybeText()

    @classmethod
    def of(cls, run: Run) -> Self:
        """Return the item of a run; a run that has not ended but would never be looked at again is a ``ValueError``."""
        if not run.status.ended and run.next_check_at is None:
            message = "a run that has not ended needs a time to look at it again"
            raise ValueError(message)
        payload, payload_apart = _text_or_digest(run.payload)
        output, output_apart = _text_or_digest(run.output)
        next_check_at = run.next_check_at if not run.status.ended else None
        return cls(
            *keys.run(run.id),
            project_id=run.project_id,
            workflow_id=run.workflow_id,
            list_key=keys.listed_run(run.status, run.created_at, run.id),
            version_id=run.version_id,
            version=run.version,
            connection_id=run.connection_id,
            status=run.status.value,
            triggered_by=run.triggered_by,
            created_by=run.created_by,
            created_by_key_id=run.created_by_key_id,
            created_at=run.created_at,
            updated_at=run.updated_at,
            started_at=run.started_at,
            finished_at=run.finished_at,
            expires_at=run.expires_at,
            payload=payload,
            payload_handle=values.handle(run.payload),
            payload_apart=payload_apart,
            output=output,
            output_handle=values.handle(run.output),
            output_apart=output_apart,
            error=values.error_text(run.error),
            tags=dumps(run.tags) if run.tags else None,
            max_parallel_steps=run.max_parallel_steps or None,
            parent_run_id=run.parent_run_id,
            parent_step=run.parent_step,
            depth=run.depth or None,
            number=run.number,
            **usages.used(run.units),
            usage=usages.usage_text(run.usage),
            branch_name=run.branch_name,
            pr_url=run.pr_url,
            retry_of_run_id=run.retry_of_run_id,
            disabled=values.texts_text(run.disabled),
            resets=values.resets_text(run.resets),
            counted=run.counted or None,
            hold_until=run.hold_until,
            wake_seq=run.wake_seq,
            lease_seq=run.lease_seq,
            lease_owner=run.lease.owner if run.lease else None,
            lease_expires_at=run.lease.expires_at if run.lease else None,
            claims=values.claims_text(run.claims),
            park_token=run.park_token,
            waiting_for=",".join(run.waiting_for) or None,
            next_check_at=times.milliseconds_of(next_check_at) if next_check_at else None,
            sweep_shard=keys.sweep_shard(run.id) if next_check_at else None,
        )

    def apart(self) -> Iterator[Key]:
        """Yield where the values lie that the run points to."""
        run_id = keys.id_of(self.pk)
        if self.payload_apart is not None:
            yield keys.run_payload(run_id, self.payload_apart)
        if self.output_apart is not None:
            yield keys.run_output(run_id, self.output_apart)

    def run(self, texts: Mapping[Key, str]) -> Run:
        """Return the run, given the texts of the values that lie apart."""
        run_id = keys.id_of(self.pk)
        payload, output = self.payload, self.output
        if self.payload_apart is not None:
            payload = texts[keys.run_payload(run_id, self.payload_apart)]
        if self.output_apart is not None:
            output = texts[keys.run_output(run_id, self.output_apart)]
        lease = None
        if self.lease_owner is not None and self.lease_expires_at is not None:
            lease = Lease(owner=self.lease_owner, expires_at=self.lease_expires_at)
        return Run(
            id=run_id,
            project_id=self.project_id,
            workflow_id=self.workflow_id,
            version_id=self.version_id,
            version=self.version,
            connection_id=self.connection_id,
            status=RunStatus(self.status),
            triggered_by=self.triggered_by,
            created_by=self.created_by,
            created_by_key_id=self.created_by_key_id,
            created_at=self.created_at,
            updated_at=self.updated_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            expires_at=self.expires_at,
            payload=values.value_of(payload, self.payload_handle),
            output=values.value_of(output, self.output_handle),
            error=values.error_of(self.error),
            tags=values.tags_of(self.tags),
            max_parallel_steps=self.max_parallel_steps or 0,
            parent_run_id=self.parent_run_id,
            parent_step=self.parent_step,
            depth=self.depth or 0,
            number=self.number,
            units=Units(**{name: getattr(self, usages.USED[name]) or 0 for name in UNIT_NAMES}),
            usage=usages.usage_of(self.usage),
            branch_name=self.branch_name,
            pr_url=self.pr_url,
            retry_of_run_id=self.retry_of_run_id,
            disabled=values.texts_of(self.disabled),
            resets=values.resets_of(self.resets),
            counted=bool(self.counted),
            hold_until=self.hold_until,
            wake_seq=self.wake_seq,
            lease_seq=self.lease_seq,
            lease=lease,
            claims=values.claims_of(self.claims),
            park_token=self.park_token,
            waiting_for=tuple(WaitKind(kind) for kind in (self.waiting_for or "").split(",") if kind),
            next_check_at=times.from_milliseconds(self.next_check_at) if self.next_check_at is not None else None,
        )


def _text_or_digest(value: Value) -> tuple[str | None, str | None]:
    """Return the text that lies in the run itself, or else the digest of one that does not."""
    text = values.inline(value)
    if text is not None and _large(text):
        return None, values.digest_of(text)
    return text, None


def _large(text: str) -> bool:
    return len(text.encode()) > LARGEST_IN_ROOT


def excerpts(run_ids: Iterable[str]) -> dict[str, str]:
    """Return the beginnings of runs' prompts, by the run's id, in one batch; those that have none are left out."""
    wanted = {keys.run_excerpt(run_id): run_id for run_id in run_ids}
    return {wanted[key]: raw["text"]["S"] for key, raw in get_many(wanted).items()}


def whole(items: Sequence[RunItem]) -> list[Run]:
    """Return the runs of items, fetching the values that lie apart, if any do."""
    raws = get_many(key for item in items for key in item.apart())
    texts = {key: raw["text"]["S"] for key, raw in raws.items()}
    return [item.run(texts) for item in items]
