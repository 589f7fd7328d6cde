"""Who the caller's key is."""

from __future__ import annotations

from chalicelib.api.dialects import WORKFLOW_RUNS_API
from chalicelib.api.endpoints import ANY_KEY
from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.surface import Shown, api


class WhoAmI(Shown):
    """A key without its secret, and what it may do."""

    key_id: str
    name: str
    project_id: str
    #: Each scope that it has, and each word of this API that it has the whole of.
    scopes: list[str]


@api.endpoint("GET", "/v1/whoami", scope=ANY_KEY)
def who_am_i(caller: Caller) -> WhoAmI:
    """Tell the caller's own key, its project and its scopes; any key in force may ask."""
    words = {word for word, scopes in WORKFLOW_RUNS_API.bundles.items() if scopes <= caller.scopes}
    return WhoAmI(
        key_id=caller.actor.key_id,
        name=caller.actor.name,
        project_id=caller.project_id,
        scopes=sorted({*words, *map(str, caller.scopes)}),
    )
