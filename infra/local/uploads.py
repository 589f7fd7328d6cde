"""What moto's S3 leaves out and uploads stand on: signed forms, CORS, conditional copies, and events to functions."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, quote, quote_plus, unquote, urlsplit
from xml.sax.saxutils import escape

from moto.s3.models import s3_backends
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from infra.local.post_policy import Posted, Refused, judge

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_XML: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SCOPE: Final = "us-east-1/s3/aws4_request"
_NOT_ALLOWED: Final = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evaluation of Origin, request method "
    "/ Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)


@dataclass(frozen=True, kw_only=True)
class Notification:
    """Which function a bucket tells of which new objects."""

    bucket: str
    #: Of the objects' keys.
    prefix: str
    function: str


@dataclass(kw_only=True)
class _Answer:
    """What moto, or this module in its place, says to a request."""

    status: str = "200 OK"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


class Uploads:
    """A WSGI application in front of moto, for requests that are S3's or may be."""

    def __init__(
        self, moto: WSGIApplication, *, account: str, secrets: Mapping[str, str], start: Callable[[str, str], object]
    ) -> None:
        """Say what stands behind it, whose access keys there are, and how a function is started: name and event."""
        self._moto = moto
        self._account = account
        self._secrets = secrets
        self._start = start
        self._copying = threading.Lock()
        #: What the buckets tell.
        self.notifications: Sequence[Notification] = ()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        method = environ["REQUEST_METHOD"]
        bucket, _, key = environ["PATH_INFO"].encode("latin-1").decode().lstrip("/").partition("/")
        is_form = method == "POST" and environ.get("CONTENT_TYPE", "").startswith("multipart/form-data")
        try:
            if method == "OPTIONS":
                answer = self._preflight(environ, bucket)
            elif is_form:
                answer = self._post(environ, bucket)
            elif method == "PUT" and key:
                answer = self._put(environ, bucket, key)
            else:
                return self._moto(environ, start_response)
        except Refused as refused:
            answer = _Answer(status=refused.status, headers=[("Content-Type", "application/xml")])
            answer.body = f"{_XML}{_elements('Error', Code=refused.code, Message=refused.message)}".encode()
        if is_form:
            answer.headers += self._cors(environ, bucket, method)
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _post(self, environ: WSGIEnvironment, bucket: str) -> _Answer:
        posted = _posted(environ, bucket)
        judge(posted, secrets=self._secrets, now=datetime.now(UTC))
        key = posted.fields["key"]
        sent = {"content-type": posted.fields.get("content-type", "binary/octet-stream")}
        sent |= {name: value for name, value in posted.fields.items() if name.startswith("x-amz-checksum-")}
        put = self._asked_of_moto(_a_put(environ, f"/{bucket}/{key}", posted.content, sent))
        if not put.status.startswith("200"):
            return put
        self._tell(bucket, key, "ObjectCreated:Post", put, len(posted.content))
        etag, location = put.header("ETag"), f"http://{environ['HTTP_HOST']}/{bucket}/{quote(key)}"
        answer = _Answer(status="204 No Content", headers=[("ETag", etag), ("Location", location)])
        if posted.fields.get("success_action_status") == "201":
            told = _elements("PostResponse", Location=location, Bucket=bucket, Key=key, ETag=etag)
            answer.status, answer.body = "201 Created", f"{_XML}{told}".encode()
            answer.headers.append(("Content-Type", "application/xml"))
        return answer

    def _put(self, environ: WSGIEnvironment, bucket: str, key: str) -> _Answer:
        source = environ.get("HTTP_X_AMZ_COPY_SOURCE")
        if source is None:
            put = self._asked_of_moto(environ)
        else:
            # Of two copies to one place, both under the condition that nothing lies there, one is made.
            with self._copying:
                self._check_copy(environ, source, bucket, key)
                put = self._asked_of_moto(environ)
        if put.status.startswith("200") and not environ.get("QUERY_STRING"):
            name = "ObjectCreated:Put" if source is None else "ObjectCreated:Copy"
            self._tell(bucket, key, name, put, int(environ.get("CONTENT_LENGTH") or 0))
        return put

    def _check_copy(self, environ: WSGIEnvironment, source: str, bucket: str, key: str) -> None:
        parts = urlsplit(source)
        from_bucket, _, from_key = unquote(parts.path).lstrip("/").partition("/")
        version = parse_qs(parts.query).get("versionId", [None])[0]
        wanted = environ.get("HTTP_X_AMZ_COPY_SOURCE_IF_MATCH")
        found = self._etag(from_bucket, from_key, version)
        if wanted is not None and found is not None and found.strip('"') != wanted.strip('"'):
            raise _condition_failed("x-amz-copy-source-If-Match")
        if environ.get("HTTP_IF_NONE_MATCH") == "*" and self._etag(bucket, key, None) is not None:
            raise _condition_failed("If-None-Match")

    def _etag(self, bucket: str, key: str, version: str | None) -> str | None:
        backend = s3_backends[self._account]["aws"]
        found = backend.get_object(bucket, key, version_id=version) if bucket in backend.buckets else None
        return None if found is None else str(found.etag)

    def _preflight(self, environ: WSGIEnvironment, bucket: str) -> _Answer:
        asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
        method = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "")
        allowed = self._cors(environ, bucket, method, [name.strip() for name in asked.split(",") if name.strip()])
        if not allowed:
            raise Refused("403 Forbidden", "AccessForbidden", _NOT_ALLOWED)
        return _Answer(headers=[*allowed, *([("Access-Control-Allow-Headers", asked)] if asked else [])])

    def _cors(
        self, environ: WSGIEnvironment, bucket: str, method: str, headers: Sequence[str] = ()
    ) -> list[tuple[str, str]]:
        """Return the headers of the bucket's first rule that lets such a request through; none if no rule does."""
        origin = environ.get("HTTP_ORIGIN", "")
        held = s3_backends[self._account]["aws"].buckets.get(bucket)
        for rule in held.cors if held is not None and origin else ():
            by = next((pattern for pattern in rule.allowed_origins if fnmatchcase(origin, pattern)), None)
            if (
                by is None
                or method not in rule.allowed_methods
                or not _all_allowed(headers, rule.allowed_headers or ())
            ):
                continue
            return [
                ("Access-Control-Allow-Origin", "*" if by == "*" else origin),
                ("Access-Control-Allow-Methods", ", ".join(rule.allowed_methods)),
                ("Access-Control-Expose-Headers", ", ".join(rule.exposed_headers or ())),
                ("Access-Control-Max-Age", str(rule.max_age_seconds or 0)),
                ("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"),
            ]
        return []

    def _tell(self, bucket: str, key: str, name: str, put: _Answer, size: int) -> None:
        """Tell of a new object whoever is to be told, as S3 does: not in the request, and at least once."""
        event = json.dumps({"Records": [_record(bucket, key, name, put, size)]})
        for each in self.notifications:
            if each.bucket == bucket and key.startswith(each.prefix):
                self._start(each.function, event)

    def _asked_of_moto(self, environ: WSGIEnvironment) -> _Answer:
        answer = _Answer()

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> Any:
            answer.status, answer.headers = status, list(headers)
            return lambda _data: None

        answer.body = b"".join(self._moto(environ, start_response))
        return answer


def _posted(environ: WSGIEnvironment, bucket: str) -> Posted:
    """Read a form: the fields before the file, and the file. What comes after it S3 does not read either."""
    boundary = parse_options_header(environ["CONTENT_TYPE"])[1].get("boundary", "")
    decoder = MultipartDecoder(boundary.encode())
    decoder.receive_data(environ["wsgi.input"].read())
    decoder.receive_data(None)
    fields: dict[str, str] = {}
    content, name = b"", ""
    try:
        while not isinstance(event := decoder.next_event(), (Epilogue, NeedData)):
            if isinstance(event, (Field, File)):
                if name == "file":
                    break
                name = event.name.lower()
                fields[name] = ""
            elif isinstance(event, Data) and name == "file":
                content += event.data
            elif isinstance(event, Data):
                fields[name] += event.data.decode()
    except ValueError as error:
        raise Refused("400 Bad Request", "MalformedPOSTRequest", "The body is not multipart/form-data.") from error
    if name != "file":
        message = "POST requires exactly one file upload per request."
        raise Refused("400 Bad Request", "InvalidArgument", message)
    return Posted(bucket=bucket, fields=fields, content=content)


def _a_put(environ: WSGIEnvironment, path: str, content: bytes, headers: Mapping[str, str]) -> WSGIEnvironment:
    """Return the request that puts an object there, in place of the form that it came in."""
    kept = {name: value for name, value in environ.items() if not name.startswith("HTTP_") or name == "HTTP_HOST"}
    named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    return {
        **kept,
        **named,
        "REQUEST_METHOD": "PUT",
        "PATH_INFO": path.encode().decode("latin-1"),
        "REQUEST_URI": quote(path),
        "RAW_URI": quote(path),
        "QUERY_STRING": "",
        "CONTENT_TYPE": headers["content-type"],
        "CONTENT_LENGTH": str(len(content)),
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential=local/20260101/{_SCOPE}, SignedHeaders=host, Signature=0",
        "wsgi.input": io.BytesIO(content),
    }


def _record(bucket: str, key: str, name: str, put: _Answer, size: int) -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "eventName": name,
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {
                "key": quote_plus(key, safe="/"),
                "size": size,
                "eTag": put.header("ETag").strip('"'),
                "versionId": put.header("x-amz-version-id"),
            },
        },
    }


def _all_allowed(asked: Iterable[str], allowed: Sequence[str]) -> bool:
    return all(any(fnmatchcase(name.lower(), pattern.lower()) for pattern in allowed) for name in asked)


def _condition_failed(condition: str) -> Refused:
    message = f"At least one of the pre-conditions you specified did not hold: {condition}"
    return Refused("412 Precondition Failed", "PreconditionFailed", message)


def _elements(root: str, **texts: str) -> str:
    return f"<{root}>{''.join(f'<{name}>{escape(text)}</{name}>' for name, text in texts.items())}</{root}>"
