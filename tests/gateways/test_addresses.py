"""Which addresses a step may reach."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from chalicelib.gateways.addresses import checked, is_public
from chalicelib.gateways.errors import CallFailed

PRIVATE = [
    "0.0.0.0",  # noqa: S104 - called, not bound
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::a9fe:a9fe",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "52.94.236.248",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a05:d018::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_the_public_internet_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(CallFailed) as failed:
        checked("host", [address], allow=())
    assert (failed.value.code, failed.value.retryable) == ("address_refused", False)


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_reached(address: str) -> None:
    assert checked("host", [address], allow=()) == (address,)


def test_one_bad_address_among_good_ones_refuses_the_host() -> None:
    with pytest.raises(CallFailed, match="host"):
        checked("host", ["8.8.8.8", "10.0.0.1"], allow=())


def test_an_opened_network_is_reached_and_its_neighbour_is_not() -> None:
    allow = (ip_network("10.1.0.0/16"), ip_network("::1/128"))
    assert checked("host", ["10.1.2.3", "::1"], allow=allow) == ("10.1.2.3", "::1")
    with pytest.raises(CallFailed):
        checked("host", ["10.2.0.1"], allow=allow)


def test_opening_an_ipv4_network_opens_no_ipv6_form_of_it() -> None:
    with pytest.raises(CallFailed):
        checked("host", ["::ffff:127.0.0.1"], allow=(ip_network("127.0.0.0/8"),))


def test_addresses_keep_their_order_and_are_told_once() -> None:
    assert checked("host", ["8.8.8.8", "1.1.1.1", "8.8.8.8"], allow=()) == ("8.8.8.8", "1.1.1.1")
