"""`make dev`: serves the stack until it is told to stop."""

from __future__ import annotations

import os
import signal
import sys
import threading

from chalicelib.domain.refusal import Refusal
from infra.local.stack import LocalStack

#: What is printed once the stack serves; its commands work when they are pasted.
READY = """\
Stepwell on {url}   (DynamoDB: {dynamodb}; Ctrl-C stops it, and everything in it is gone)

API key   {key}

export URL={url} KEY={key}

# make a workflow of one step, deploy it, run it
ID=$(curl -s $URL/api/workflows -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -d '{{"name": "hello", "kind": "workflow"}}' | sed -E 's/.*"id":"([^"]+)".*/\\1/')
curl -s $URL/api/workflows/$ID/versions -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -d '{{"ir": {{"metadata": {{"name": "hello"}}, "entryNodeId": "greet", "edges": [], "nodes": [
       {{"id": "greet", "type": "transform", "name": "Greet",
        "data": {{"value": {{"text": "Hello, {{{{ payload.name }}}}"}}}}}}]}}}}'
curl -s $URL/api/workflows/$ID/deploy -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -d '{{"connectionId": "conn_default"}}'
curl -s $URL/api/workflows/$ID/trigger -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -d '{{"connectionId": "conn_default", "params": {{"name": "Ada"}}}}'
curl -s $URL/api/workflows/$ID/runs -H "Authorization: Bearer $KEY"

# or, in /v1: save a workflow that asks a person, start a run, see what it waits for
ID=$(curl -s $URL/v1/workflows -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -d '{{"project_id": "proj_dev", "name": "ask", "slug": "ask", "steps": [
       {{"step_ref": "ask", "step_type": "approval", "approval_approvers": ["*"]}}]}}' |
  sed -E 's/.*"id":"([^"]+)".*/\\1/')
RUN=$(curl -s $URL/v1/workflows/$ID/trigger -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -d '{{}}' | sed -E 's/^\\{{"id":"([^"]+)".*/\\1/')
until curl -s $URL/v1/workflow-runs/$RUN/why -H "Authorization: Bearer $KEY" | grep approval; do sleep 1; done
curl -s -X POST $URL/v1/workflow-runs/$RUN/steps/ask/approve -H "Authorization: Bearer $KEY"
"""


def main() -> int:
    """Serve until SIGINT or SIGTERM; return 0 after a clean stop."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    endpoint = os.environ.get("DYNAMODB_ENDPOINT") or None
    try:
        port = int(os.environ.get("PORT") or "8000")
    except ValueError:
        print("PORT must be a number", file=sys.stderr)
        return 1
    try:
        stack = LocalStack(port=port, dynamodb_endpoint=endpoint, key=os.environ.get("STEPWELL_DEV_KEY") or None)
        with stack:
            print(READY.format(url=stack.url, key=stack.key, dynamodb=endpoint or "moto"), flush=True)
            stop.wait()
    except (Refusal, OSError) as error:
        print(f"The stack cannot start on port {port}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is closed; the interpreter's own end would take over a second to unload all of moto, for nothing.
    os._exit(code)
