"""The OpenAPI document, as anybody may read it."""

from __future__ import annotations

from chalicelib.api.dialects import TRIGGER_API
from chalicelib.api.endpoints import Api
from chalicelib.api.requests import Call
from chalicelib.domain.value import Json

api = Api(dialect=TRIGGER_API)


@api.endpoint("GET", "/openapi.json", public=True)
def show_openapi(call: Call) -> Json:
    """Describe every endpoint of every API, as OpenAPI 3.1."""
    # It loads every resource, which no other request needs.
    from chalicelib.api.openapi_document import document  # noqa: PLC0415

    return {**document(), "servers": [{"url": call.base_url}]}
