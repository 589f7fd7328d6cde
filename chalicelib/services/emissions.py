"""What a step's end tells other runs: its output, sent to the event key that the step names."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from chalicelib import logs
from chalicelib.domain import template
from chalicelib.domain.progress import Progress
from chalicelib.domain.resets import ref_of
from chalicelib.domain.run import Run
from chalicelib.domain.step import StepRecord, StepStatus
from chalicelib.domain.value import resolved
from chalicelib.logs import Action
from chalicelib.services.outside import Outside


def emit(run: Run, progress: Progress, records: Iterable[StepRecord], *, now: datetime, outside: Outside) -> None:
    """Send what the steps that complete with these records are to send; call it before the records are written.

    A crash in between has it sent again: whoever waited has it already, and the same again changes nothing. That nobody
    waits, or that the key's template cannot be rendered, is no fault of the step, which has done its work.
    """
    for record in records:
        spec = progress.definition.steps[ref_of(record.key)]
        if spec.emit_key is None or record.status is not StepStatus.COMPLETED:
            continue
        # Only a definition that asks for it pays for loading what sends.
        from chalicelib.services import event_keys  # noqa: PLC0415 - as just said

        output = resolved(record.output, progress.resolve)
        try:
            key = template.render(spec.emit_key, progress.scope(record.key).with_output(output))
        except template.TemplateError:
            logs.tell(Action.NOT_EMITTED, run_id=run.id, step=record.key)
            continue
        event_keys.emit(run.project_id, str(key), output, actor_name=f"run {run.id}", now=now, outside=outside)
