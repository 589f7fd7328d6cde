"""What the fake and the real HTTP gateway do alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.gateways.errors import CallFailed
from chalicelib.gateways.http import Http, HttpGateway
from chalicelib.gateways.http_fake import FakeHttp
from chalicelib.gateways.http_requests import HttpRequest, HttpResponse
from tests.gateways.asking import LOOPBACK, ask, the_failure
from tests.gateways.servers import Answer, Asked, http_server


@pytest.fixture(params=["real", "fake"])
def http(request: pytest.FixtureRequest, gateway: HttpGateway) -> Iterator[tuple[Http, str]]:
    """A gateway, and the URL of something that tells the method and target as JSON, with status 202."""

    def really(asked: Asked) -> Answer:
        said = f'{{"method": "{asked.method}", "target": "{asked.path}"}}'
        return Answer(status=202, headers={"Content-Type": "application/json"}, body=said.encode())

    def faked(asked: HttpRequest) -> HttpResponse:
        body = {"method": asked.method, "target": asked.target}
        return HttpResponse(status=202, headers={"content-type": "application/json"}, body=body)

    if request.param == "fake":
        yield FakeHttp(answer=faked, allow=LOOPBACK), "http://127.0.0.1:8080"
    else:
        with http_server(really) as server:
            yield gateway, server.url


def test_a_request_is_answered(http: tuple[Http, str]) -> None:
    gateway, url = http
    response = ask(gateway, f"{url}/a b", "post", query={"n": [1, 2]}, body={})
    assert (response.status, response.headers["content-type"]) == (202, "application/json")
    assert response.body == {"method": "POST", "target": "/a%20b?n=1&n=2"}


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("file:///etc/passwd", "address_refused"),
        ("http://169.254.169.254/", "address_refused"),
        ("http://[fd00:ec2::254]/", "address_refused"),
        ("http://user@example.com/", "address_refused"),
        ("http://example.com/\n", "invalid_request"),
    ],
)
def test_what_is_refused_is_refused_alike(http: tuple[Http, str], url: str, code: str) -> None:
    assert the_failure(http[0], url).code == code


def test_a_header_that_holds_a_line_break_is_refused_alike(http: tuple[Http, str]) -> None:
    with pytest.raises(CallFailed, match="X-A"):
        ask(http[0], http[1], headers={"X-A": "a\r\nb"})


def test_the_fake_remembers_what_was_sent_and_answers_nothing_by_itself() -> None:
    fake = FakeHttp()
    assert the_failure(fake, "https://example.com/a").code == "connection_failed"
    assert [(sent.method, sent.url) for sent in fake.sent] == [("GET", "https://example.com/a")]
