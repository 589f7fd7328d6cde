"""Functions at their own URL, as a Worker answers: the token in the path is the credential."""

from __future__ import annotations

from pydantic import RootModel

from chalicelib.api.bodies import AnyJson
from chalicelib.api.dialects import FUNCTION_URL
from chalicelib.api.endpoints import METHODS, Api, Reply
from chalicelib.api.requests import Call
from chalicelib.domain.value import Json
from chalicelib.services import functions

api = Api(dialect=FUNCTION_URL)


class FunctionInput(RootModel[AnyJson]):
    """Any JSON; reaches the steps as ``event.payload``."""


@api.endpoint("POST", "/functions/{token}", public=True, body=FunctionInput)
def call_function(call: Call, token: str, body: FunctionInput) -> Reply:
    """Run a deployed script and answer with what it exports. There is no run record, and nothing is tried again."""
    try:
        answered = functions.call(token, body.root, call.now)
    except functions.FunctionFailed as failed:
        return Reply(status=500, body={"message": str(failed)})
    return Reply(body=_Answered(answered))


class _Answered(RootModel[AnyJson]):
    """A function's answer, which may be null: JSON all the same."""


def leave_function(_call: Call, token: str) -> Json:
    """Run nothing: other methods than POST get an empty 200, which does not even say whether the function exists."""
    del token
    return None


for _method in sorted(METHODS - {"POST"}):
    api.endpoint(_method, "/functions/{token}", public=True)(leave_function)
