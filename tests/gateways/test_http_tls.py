"""HTTPS: the connection goes to a checked address, the certificate is still one for the name."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chalicelib.gateways.http import HttpGateway
from chalicelib.gateways.wire import Switchboard
from tests.gateways.asking import LOOPBACK, ask, the_failure
from tests.gateways.servers import Answer, Server, http_server

NAME = "api.stepwell.test"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for NAME, its own authority, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def names() -> list[str | None]:
    """The names that clients asked the server for (SNI)."""
    return []


@pytest.fixture
def server(certificate: Path, names: list[str | None]) -> Iterator[Server]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    tls.sni_callback = lambda _socket, name, _context: names.append(name)
    with http_server(lambda _: Answer(body=b"hello"), tls=tls) as running:
        yield running


def a_switchboard(authority: Path | None) -> Switchboard:
    tls = ssl.create_default_context(cafile=authority) if authority else None
    return Switchboard(allow=LOOPBACK, tls=tls, resolve=lambda _host, _port: ["127.0.0.1"])


def test_a_pinned_connection_verifies_and_names_the_host(
    server: Server, certificate: Path, names: list[str | None]
) -> None:
    switchboard = a_switchboard(certificate)
    gateway = HttpGateway(switchboard=switchboard)
    for _ in range(3):
        assert ask(gateway, f"https://{NAME}:{server.port}/").body == "hello"
    switchboard.close()
    assert names == [NAME]
    assert server.asked[0].headers["host"] == f"{NAME}:{server.port}"
    assert server.connections == 1


@pytest.mark.parametrize("host", ["other.stepwell.test", "127.0.0.1"])
def test_a_certificate_for_another_host_is_refused(server: Server, certificate: Path, host: str) -> None:
    gateway = HttpGateway(switchboard=a_switchboard(certificate))
    failure = the_failure(gateway, f"https://{host}:{server.port}/")
    assert (failure.code, failure.retryable) == ("tls_failed", False)
    assert server.asked == []


def test_a_certificate_of_an_unknown_authority_is_refused(server: Server) -> None:
    gateway = HttpGateway(switchboard=a_switchboard(None))
    assert the_failure(gateway, f"https://{NAME}:{server.port}/").code == "tls_failed"
    assert server.asked == []


def test_a_server_without_tls_is_no_connection(certificate: Path) -> None:
    gateway = HttpGateway(switchboard=a_switchboard(certificate))
    with http_server(lambda _: Answer(body=b"hello")) as plain:
        failure = the_failure(gateway, f"https://{NAME}:{plain.port}/")
    assert (failure.code, failure.retryable) == ("connection_failed", True)
