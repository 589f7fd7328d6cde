from __future__ import annotations

import io
from email.message import Message

import pytest

from infra.local import framing
from infra.local.framing import TooLong, Unreadable, read_body

MIB = 1024 * 1024


def headers(*pairs: tuple[str, str]) -> Message:
    message = Message()
    for name, value in pairs:
        message[name] = value
    return message


CHUNKED = headers(("Transfer-Encoding", "Chunked"))


def test_a_request_without_a_length_has_no_body() -> None:
    stream = io.BytesIO(b"GET /next")

    assert read_body(headers(), stream) == b""
    assert stream.read() == b"GET /next"


@pytest.mark.parametrize(
    ("sent", "stream"),
    [
        (headers(("Content-Length", " 5 ")), b"hello"),
        (headers(("Content-Length", "5"), ("content-length", "5")), b"hello"),
        (CHUNKED, b"5\r\nhello\r\n0\r\n\r\n"),
        (CHUNKED, b"2 ;name=value\r\nhe\r\n003\r\nllo\r\n0\r\nTrailer: 1\r\n\r\n"),
    ],
)
def test_a_body_is_read_to_its_end_and_no_further(sent: Message, stream: bytes) -> None:
    following = io.BytesIO(stream + b"GET /next")

    assert read_body(sent, following) == b"hello"
    assert following.read() == b"GET /next"


@pytest.mark.parametrize(
    "value", ["", "abc", "-1", "+5", "1e3", "5, 5", "0x5", "\N{ARABIC-INDIC DIGIT FIVE}", "9" * 30]
)
def test_a_length_that_is_no_number_is_unreadable(value: str) -> None:
    with pytest.raises(Unreadable):
        read_body(headers(("Content-Length", value)), io.BytesIO(b"hello"))


@pytest.mark.parametrize(
    "sent",
    [
        headers(("Content-Length", "5"), ("Content-Length", "4")),
        headers(("Content-Length", "5"), ("Transfer-Encoding", "chunked")),
        headers(("Transfer-Encoding", "gzip, chunked")),
        headers(("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")),
    ],
)
def test_two_ways_to_tell_the_end_are_unreadable(sent: Message) -> None:
    with pytest.raises(Unreadable):
        read_body(sent, io.BytesIO(b"5\r\nhello\r\n0\r\n\r\n"))


@pytest.mark.parametrize("stream", [b"", b"hell"])
def test_a_body_that_ends_early_is_unreadable(stream: bytes) -> None:
    with pytest.raises(Unreadable):
        read_body(headers(("Content-Length", "5")), io.BytesIO(stream))


@pytest.mark.parametrize(
    "stream", [b"", b"5\r\nhell", b"5\r\nhello!\r\n0\r\n\r\n", b"z\r\n", b"-5\r\nhello\r\n", b"5" * 9000]
)
def test_a_chunk_that_is_not_as_long_as_it_says_is_unreadable(stream: bytes) -> None:
    with pytest.raises(Unreadable):
        read_body(CHUNKED, io.BytesIO(stream))


def test_ten_megabytes_are_a_body_and_a_byte_more_is_not() -> None:
    longest, too_long = bytes(10 * MIB), bytes(10 * MIB + 1)
    assert len(read_body(headers(("Content-Length", str(len(longest)))), io.BytesIO(longest))) == 10 * MIB
    assert len(read_body(CHUNKED, io.BytesIO(b"%x\r\n%b\r\n0\r\n\r\n" % (len(longest), longest)))) == 10 * MIB

    for sent, stream in (
        (headers(("Content-Length", str(len(too_long)))), too_long),
        (CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(too_long), too_long)),
    ):
        following = io.BytesIO(stream + b"GET /next")
        with pytest.raises(TooLong) as caught:
            read_body(sent, following)
        assert caught.value.is_read
        assert following.read() == b"GET /next"


def test_of_a_body_without_end_nothing_is_read_on() -> None:
    whole = io.BytesIO(b"hello")
    with pytest.raises(TooLong) as caught:
        read_body(headers(("Content-Length", str(framing.MOST_DISCARDED + 1))), whole)
    assert (caught.value.is_read, whole.read()) == (False, b"hello")

    with pytest.raises(TooLong) as caught:
        read_body(CHUNKED, io.BytesIO(b"%x\r\nhello" % (framing.MOST_DISCARDED + 1)))
    assert not caught.value.is_read


def test_of_a_body_that_is_too_long_and_ends_early_nothing_may_follow() -> None:
    with pytest.raises(TooLong) as caught:
        read_body(headers(("Content-Length", str(11 * MIB))), io.BytesIO(bytes(MIB)))
    assert not caught.value.is_read
