"""``sub_script {workflowId, body}``: runs a function within this step; answers its answer."""

from __future__ import annotations

from chalicelib.domain.outcome import Completed, Failed, Outcome
from chalicelib.services import scripts
from chalicelib.services.executors.call import StepCall


def execute(call: StepCall) -> Outcome:
    """Run the function that is deployed on the run's connection."""
    try:
        answer = scripts.run_deployed(
            call.run.project_id,
            call.text("workflowId"),
            connection_id=call.run.connection_id,
            body=call.config.get("body"),
            depth=call.run.depth + 1,
            now=call.now,
        )
    except scripts.ScriptFailed as error:
        return Failed(error=call.error("script_failed", error.message))
    return Completed(output=answer)
