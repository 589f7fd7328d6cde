"""Functions at their own URL, as a Worker answers: the token in the path is the credential."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from chalicelib.api.bodies import AnyJson
from chalicelib.api.dialects import FUNCTION_URL
from chalicelib.api.endpoints import METHODS, NOTHING, Api, Nothing, Reply
from chalicelib.api.requests import Call
from chalicelib.domain.value import Json
from chalicelib.services import functions

api = Api(dialect=FUNCTION_URL)


class FunctionInput(BaseModel):
    """Any JSON; reaches the steps as ``event.payload``."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    value: AnyJson

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler, /) -> JsonSchemaValue:
        """Describe the whole body, too, as the value."""
        del core, handler
        return {"description": cls.__doc__}

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, sent: object) -> object:
        """Take the whole body as the value."""
        return {"value": sent}


@api.endpoint("POST", "/functions/{token}", public=True, body=FunctionInput)
def call_function(call: Call, token: str, body: FunctionInput) -> Reply[Json]:
    """Run a deployed script and answer with what it exports. There is no run record, and nothing is tried again."""
    try:
        answered = functions.call(token, body.value, call.now)
    except functions.FunctionFailed as failed:
        return Reply(status=500, body={"message": str(failed)})
    return Reply(body=answered)


def leave_function(_call: Call, token: str) -> Reply[Nothing]:
    """Run nothing: other methods than POST get an empty 200, which does not even say whether the function exists."""
    del token
    return Reply(body=NOTHING)


for _method in sorted(METHODS - {"POST"}):
    api.endpoint(_method, "/functions/{token}", public=True)(leave_function)
