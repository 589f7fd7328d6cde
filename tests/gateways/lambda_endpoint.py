"""An endpoint on the loopback that answers Lambda's invocations as told, since moto's Lambda needs Docker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from chalicelib.domain.value import Json, dumps
from tests.gateways.servers import Answer, Asked, Server, http_server


@dataclass(kw_only=True)
class LambdaEndpoint:
    """What the endpoint will say, and what it was asked."""

    server: Server
    #: Said first, each once.
    refusals: list[Answer] = field(default_factory=list)
    #: Said to a call that waits; by default the payload itself.
    answer: Answer | None = None

    def refuse(self, status: int, code: str, *, times: int = 1) -> None:
        """Answer that often with an error as AWS writes it."""
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
        self.refusals += [Answer(status=status, headers=headers, body=dumps({"Message": "no"}).encode())] * times

    def fail(self, error: Json) -> None:
        """Answer as when the function raised."""
        self.answer = Answer(headers={"X-Amz-Function-Error": "Unhandled"}, body=json.dumps(error).encode())


@contextmanager
def serve_lambda() -> Iterator[LambdaEndpoint]:
    """Serve it."""

    def answer(asked: Asked) -> Answer:
        if endpoint.refusals:
            return endpoint.refusals.pop(0)
        if asked.headers.get("x-amz-invocation-type") == "Event":
            return Answer(status=202)
        return endpoint.answer or Answer(body=asked.body)

    with http_server(answer) as server:
        endpoint = LambdaEndpoint(server=server)
        yield endpoint
