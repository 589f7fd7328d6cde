"""The AWS of one machine, at one address: moto, but for Lambda (the stack's own functions) and a real DynamoDB."""

from __future__ import annotations

import functools
import json
import logging
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import urllib3
from moto.core.config import default_user_config
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from infra.local import cloudformation, interpreter, transactions
from infra.local.functions import Functions, InvocationType, UnknownFunction
from infra.local.uploads import Notification, Uploads
from infra.local.wsgi import KeepAliveServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

#: Where everything lives, and whose it is; moto's own account.
REGION: Final = "us-east-1"
ACCOUNT: Final = "123456789012"

_INVOKE: Final = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")


class _Moto(DomainDispatcherApplication):
    """moto, which reads the list of its own modules from disk for each request: a fifth of the time that it takes."""

    def __init__(self, create_app: Callable[[Any], Any]) -> None:
        super().__init__(create_app)
        self.get_backend_for_host = functools.cache(super().get_backend_for_host)  # type: ignore[method-assign]


class Aws:
    """A WSGI application for whichever stack is attached. There is one a process, because moto keeps its state so."""

    def __init__(self) -> None:
        default_user_config["stepfunctions"] = {"execute_state_machine": True}
        self._moto = _Moto(create_backend_app)
        self._upstream = urllib3.PoolManager(maxsize=64, retries=False)
        self._writing = threading.Lock()
        self._functions = Functions(threads=0)
        self._uploads = Uploads(
            self._moto,
            account=ACCOUNT,
            secrets={"local": "local"},
            start=self._start,
        )
        self._dynamodb_endpoint: str | None = None
        self._server = KeepAliveServer(self)
        self.url = self._server.url
        interpreter.mend(self.url)
        transactions.mend()
        cloudformation.mend()

    def attach(self, functions: Functions, *, dynamodb_endpoint: str | None) -> None:
        """Serve this stack from now on, and forget all that moto held for the one before."""
        interpreter.stop_executions()
        moto_api_backend.reset()
        self._functions, self._dynamodb_endpoint = functions, dynamodb_endpoint
        self._uploads.notifications = ()

    def tell(self, notifications: Sequence[Notification]) -> None:
        """Have the stack's bucket tell these functions of new objects."""
        self._uploads.notifications = notifications

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one call to AWS."""
        match = _INVOKE.fullmatch(environ["PATH_INFO"])
        if match:
            return self._invoke(unquote(match[1]), environ, start_response)
        if self._dynamodb_endpoint and environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB_"):
            return self._pass_on(self._dynamodb_endpoint, environ, start_response)
        if environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB_"):
            # moto looks at a condition, then writes: without this, two conditional writes at once could both succeed.
            with self._writing:
                return list(self._moto(environ, start_response))
        return self._uploads(environ, start_response)

    def _start(self, function: str, event: str) -> None:
        self._functions.start(function, event)

    def _invoke(self, name: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        payload = environ["wsgi.input"].read().decode()
        kind = environ.get("HTTP_X_AMZ_INVOCATION_TYPE", InvocationType.REQUEST_RESPONSE)
        headers = [("Content-Type", "application/json")]
        try:
            if kind == InvocationType.EVENT:
                request_id = self._functions.start(name, payload)
                start_response("202 Accepted", [*headers, ("x-amzn-RequestId", request_id)])
                return [b""]
            answer = self._functions.call(name, payload)
        except UnknownFunction:
            arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name.rpartition(':function:')[2]}"
            start_response("404 Not Found", [*headers, ("x-amzn-ErrorType", "ResourceNotFoundException")])
            return [json.dumps({"Type": "User", "Message": f"Function not found: {arn}"}).encode()]
        except json.JSONDecodeError as error:
            start_response("400 Bad Request", [*headers, ("x-amzn-ErrorType", "InvalidRequestContentException")])
            return [
                json.dumps({"Type": "User", "Message": f"Could not parse request body into json: {error}"}).encode()
            ]
        failure = [("X-Amz-Function-Error", "Unhandled")] if answer.failed else []
        start_response("200 OK", [*headers, ("X-Amz-Executed-Version", "$LATEST"), *failure])
        return [answer.body.encode()]

    def _pass_on(self, endpoint: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer = self._upstream.request(
            "POST",
            endpoint,
            body=environ["wsgi.input"].read(),
            headers={
                "Authorization": environ.get("HTTP_AUTHORIZATION", ""),
                "Content-Type": environ.get("CONTENT_TYPE", "application/x-amz-json-1.0"),
                "X-Amz-Date": environ.get("HTTP_X_AMZ_DATE", ""),
                "X-Amz-Target": environ["HTTP_X_AMZ_TARGET"],
            },
        )
        kept = ("content-type", "x-amzn-requestid", "x-amz-crc32")
        headers = [(name, value) for name, value in answer.headers.items() if name.lower() in kept]
        start_response(f"{answer.status} {answer.reason or 'Answer'}", headers)
        return [answer.data]


_lock = threading.Lock()
_aws: Aws | None = None


def aws() -> Aws:
    """Return this process's AWS, started if it was not. Its address never changes: clients made before keep working."""
    global _aws  # noqa: PLW0603 - one a process, as moto's state is
    with _lock:
        if _aws is None:
            for noisy in ("werkzeug", "botocore", "moto"):
                logging.getLogger(noisy).setLevel(logging.ERROR)
            _aws = Aws()
        return _aws
