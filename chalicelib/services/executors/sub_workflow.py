"""``sub_workflow {workflowId, input, waitForCompletion, timeout?, maxNestingDepth?}``: starts a child run.

Answers the child's output once it has ended.
"""

from __future__ import annotations

from chalicelib.domain.duration import parse_duration
from chalicelib.domain.outcome import Completed, Outcome, Waiting
from chalicelib.domain.step import Wait, WaitKind
from chalicelib.domain.waits import child_event
from chalicelib.services import children
from chalicelib.services.executors.call import StepCall


def execute(call: StepCall) -> Outcome:
    """Start the child, under an id that another attempt's driver would choose too.

    Then wait for it, or go on at once.
    """
    waits, deepest = call.config.get("waitForCompletion") is not False, call.config.get("maxNestingDepth")
    child_id = children.start(
        call.run,
        call.claim,
        workflow_id=call.text("workflowId"),
        payload=call.config.get("input"),
        reports=waits,
        deepest=deepest if isinstance(deepest, int) else None,
        now=call.now,
        outside=call.outside,
    )
    if not waits:
        return Completed(output={"runId": child_id})
    timeout = call.config.get("timeout")
    claim = call.claim
    return Waiting(
        wait=Wait(
            kind=WaitKind.CHILD,
            event_type=child_event(claim.key, claim.generation, claim.failures),
            until=call.now + parse_duration(timeout) if timeout is not None else None,
            note=child_id,
        ),
    )
