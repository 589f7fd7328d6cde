"""Whether all that Stepwell needs answers."""

from __future__ import annotations

from chalicelib.api.dialects import TRIGGER_API
from chalicelib.api.endpoints import Api, Reply
from chalicelib.api.requests import Call
from chalicelib.domain.value import Json
from chalicelib.services import health

api = Api(dialect=TRIGGER_API)


@api.endpoint("GET", "/healthz", public=True, also=(503,))
def show_health(_call: Call) -> Reply[Json]:
    """Answer 200 when the table, the bucket and the state machine answer, else 503; say which does not, and not why."""
    parts = health.check()
    fine = all(parts.values())
    shown = {name: "ok" if up else "unavailable" for name, up in parts.items()}
    return Reply(status=200 if fine else 503, body={"status": "ok" if fine else "unavailable", "parts": shown})
