"""A request before it is sent: what is refused, how it is encoded, what a redirect makes of it."""

from __future__ import annotations

import pytest

from chalicelib.domain.value import Json
from chalicelib.gateways.errors import CallFailed
from chalicelib.gateways.http_requests import HttpRequest, prepared, redirected


def a_request(
    method: str = "GET",
    url: str = "https://api.example.com/v1/orders",
    *,
    headers: dict[str, Json] | None = None,
    query: dict[str, Json] | None = None,
    body: Json = None,
) -> HttpRequest:
    return prepared(method, url, headers=headers or {}, query=query or {}, body=body)


def the_refusal(url: str) -> str:
    with pytest.raises(CallFailed) as failed:
        a_request(url=url)
    assert not failed.value.retryable
    return failed.value.code


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("file:///etc/passwd", "address_refused"),
        ("ftp://example.com/", "address_refused"),
        ("gopher://example.com/", "address_refused"),
        ("//example.com/", "address_refused"),
        ("example.com", "address_refused"),
        ("", "address_refused"),
        ("http://user@example.com/", "address_refused"),
        ("http://user:secret@example.com/", "address_refused"),
        ("http://example.com\\@127.0.0.1/", "address_refused"),
        ("http://exa\tmple.com/", "invalid_request"),
        ("http://example.com/\r\nHost: evil", "invalid_request"),
        ("http://example.com/\x00", "invalid_request"),
        ("http://example.com\\.evil.com/", "invalid_request"),
        ("http://127.0.0.1%2f.example.com/", "invalid_request"),
        ("http://exa mple.com/", "invalid_request"),
        ("http://[fe80::1%25eth0]/", "invalid_request"),
        ("http://[::1/", "invalid_request"),
        ("http:///path", "invalid_request"),
        ("http://:80/", "invalid_request"),
        ("http://example.com:99999/", "invalid_request"),
        ("http://example.com:http/", "invalid_request"),
        ("http://" + "a" * 300 + "/", "invalid_request"),
        ("http://example.com/\ud800", "invalid_request"),
        ("http://\ud800.com/", "invalid_request"),
    ],
)
def test_a_url_that_is_not_plain_http_to_a_host_is_refused(url: str, code: str) -> None:
    assert the_refusal(url) == code


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("https://Example.COM", "/", "example.com"),
        ("https://example.com:443/a", "/a", "example.com"),
        ("http://example.com:443/a", "/a", "example.com:443"),
        ("https://example.com/a b/é?q=a b&r=%20#frag", "/a%20b/%C3%A9?q=a%20b&r=%20", "example.com"),
        ("https://bücher.example/", "/", "xn--bcher-kva.example"),
        ("http://[2606:4700::1111]:8080/", "/", "[2606:4700::1111]:8080"),
        ("https://example.com?x=1", "/?x=1", "example.com"),
    ],
)
def test_a_url_is_encoded_and_its_host_named(url: str, target: str, host: str) -> None:
    request = a_request(url=url)
    assert (request.target, request.headers["Host"]) == (target, host)


def test_query_parameters_are_added_to_the_urls_own() -> None:
    query: dict[str, Json] = {"n": 1, "on": True, "tag": ["a", "b&c"], "none": None, "text": "é"}
    request = a_request(url="https://example.com/?have=1", query=query)
    assert request.target == "/?have=1&n=1&on=true&tag=a&tag=b%26c&text=%C3%A9"


def test_a_query_parameter_that_is_an_object_is_refused() -> None:
    with pytest.raises(CallFailed, match="filter"):
        a_request(query={"filter": {"a": 1}})


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n", "CONNECT", "trace"])
def test_a_method_that_http_does_not_have_is_refused(method: str) -> None:
    with pytest.raises(CallFailed) as failed:
        a_request(method)
    assert failed.value.code == "invalid_request"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nX-B: b"),
        ("X-A", "a\nb"),
        ("X-A", "a\x00"),
        ("X-A", "日本"),
        ("X-A", {"a": 1}),
        ("X-A", None),
        ("X A", "a"),
        ("X-A:", "a"),
        ("", "a"),
        ("Host", "evil.example.com"),
        ("content-length", "1"),
        ("Transfer-Encoding", "chunked"),
    ],
)
def test_a_header_that_could_change_the_message_is_refused(name: str, value: Json) -> None:
    with pytest.raises(CallFailed) as failed:
        a_request(headers={name: value})
    assert (failed.value.code, failed.value.retryable) == ("invalid_request", False)


def test_a_refused_header_is_named_but_its_value_is_not_told() -> None:
    with pytest.raises(CallFailed) as failed:
        a_request(headers={"Authorization": "Bearer hunter2\n"[::-1]})
    assert "Authorization" in failed.value.message
    assert "hunter2" not in failed.value.message


def test_numbers_and_booleans_are_sent_as_json_writes_them() -> None:
    headers = a_request(headers={"X-N": 5, "X-B": False}).headers
    assert (headers["X-N"], headers["X-B"]) == ("5", "false")


@pytest.mark.parametrize(
    ("body", "content", "content_type"),
    [
        ({"a": [1, "é"]}, '{"a":[1,"é"]}'.encode(), "application/json"),
        ([], b"[]", "application/json"),
        (0, b"0", "application/json"),
        (False, b"false", "application/json"),
        ("plain é", "plain é".encode(), "text/plain; charset=utf-8"),
        ("", b"", "text/plain; charset=utf-8"),
        (None, None, None),
    ],
)
def test_a_body_is_sent_as_what_it_is(body: Json, content: bytes | None, content_type: str | None) -> None:
    request = a_request("POST", body=body)
    assert (request.body, request.headers.get("Content-Type")) == (content, content_type)


def test_the_authors_content_type_goes_before_ours() -> None:
    headers = a_request("POST", headers={"content-type": "application/xml"}, body="<a/>").headers
    assert headers["content-type"] == "application/xml"
    assert "Content-Type" not in headers


@pytest.mark.parametrize("body", [{"a": float("nan")}, "\ud800", ["\ud800"]])
def test_a_body_that_cannot_be_written_is_refused(body: Json) -> None:
    with pytest.raises(CallFailed) as failed:
        a_request("POST", body=body)
    assert failed.value.code == "invalid_request"


@pytest.mark.parametrize(
    ("method", "status", "after"),
    [
        ("GET", 301, "GET"),
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("PUT", 302, "PUT"),
        ("POST", 303, "GET"),
        ("PUT", 303, "GET"),
        ("HEAD", 303, "HEAD"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
    ],
)
def test_a_redirect_keeps_or_changes_the_method_as_browsers_do(method: str, status: int, after: str) -> None:
    request = a_request(method, body={"a": 1})
    there = redirected(request, status, "/elsewhere")
    assert (there.method, there.target) == (after, "/elsewhere")
    kept = after == method
    assert there.body == (request.body if kept else None)
    assert ("Content-Type" in there.headers) == kept


@pytest.mark.parametrize(
    ("location", "kept"),
    [
        ("/other", True),
        ("https://api.example.com:443/other", True),
        ("https://api.example.com:8443/other", False),
        ("http://api.example.com/other", False),
        ("https://example.com/other", False),
        ("//evil.example.com/other", False),
    ],
)
def test_credentials_stay_with_their_origin(location: str, kept: bool) -> None:  # noqa: FBT001 - a table's column
    secrets: dict[str, Json] = {"authorization": "Bearer a", "COOKIE": "b", "X-Api-Key": "c"}
    there = redirected(a_request(headers=secrets | {"X-Other": "d"}), 302, location)
    assert [name in there.headers for name in secrets] == [kept] * 3
    assert there.headers["X-Other"] == "d"


def test_a_redirect_names_its_own_host() -> None:
    there = redirected(a_request(), 302, "http://other.example.com:8080/a?b=c#d")
    assert (there.headers["Host"], there.target) == ("other.example.com:8080", "/a?b=c")


def test_a_redirect_in_raw_utf8_is_understood() -> None:
    assert redirected(a_request(), 302, "/é".encode().decode("latin-1")).target == "/%C3%A9"


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("file:///etc/passwd", "address_refused"),
        ("http://user:secret@example.com/", "address_refused"),
        ("http://[::1", "invalid_request"),
    ],
)
def test_a_redirect_is_refused_where_a_url_would_be(location: str, code: str) -> None:
    with pytest.raises(CallFailed) as failed:
        redirected(a_request(), 302, location)
    assert failed.value.code == code


def test_what_a_request_holds_is_not_printed() -> None:
    request = a_request("POST", "https://example.com/?token=hunter2", headers={"X": "hunter2"}, body="hunter2")
    assert "hunter2" not in repr(request)
