"""``sub_script {workflowId, body}``: runs a function within this step; answers its answer."""

from __future__ import annotations

from chalicelib.domain.outcome import Completed, Failed, Outcome
from chalicelib.services.executors.call import StepCall


def execute(call: StepCall) -> Outcome:
    """Run the function that is deployed on the run's connection."""
    # Functions are made of steps, and this step runs a function: the circle is closed here, at the time of the call.
    from chalicelib.services import scripts  # noqa: PLC0415

    try:
        answer = scripts.run_deployed(
            call.run.project_id,
            call.text("workflowId"),
            connection_id=call.run.connection_id,
            body=call.config.get("body"),
            depth=call.run.depth + 1,
            now=call.now,
            outside=call.outside,
        )
    except scripts.ScriptFailed as error:
        return Failed(error=call.error("script_failed", error.message))
    return Completed(output=answer)
