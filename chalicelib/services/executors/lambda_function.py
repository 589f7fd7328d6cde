"""``lambda {functionName, payload}``: calls a function under the connection's role; answers what it answers."""

from __future__ import annotations

from chalicelib.domain.outcome import Completed, Outcome
from chalicelib.services import connections
from chalicelib.services.executors.call import StepCall


def execute(call: StepCall) -> Outcome:
    """Call the function once."""
    connection = connections.load(call.run.project_id, call.run.connection_id)
    access = call.outside.credentials.assume(connection, run_id=call.run.id)
    answer = call.outside.functions.call(
        call.text("functionName"),
        call.config.get("payload"),
        access=access,
        timeout_seconds=call.timeout.total_seconds(),
    )
    return Completed(output=answer)
