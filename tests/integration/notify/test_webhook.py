"""One try over real sockets: what is sent, what each answer means, and where it may go."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from libs.common.testing.webhook_receiver import CLOSE, HANG, Answer, WebhookReceiver
from services.notify import message
from services.notify.kinds import http, webhook
from services.notify.kinds.base import Errand
from services.notify.kinds.webhook import WebhookConfig
from services.notify.lines import Lines
from services.notify.target_rules import Network
from services.notify.targets import Resolver, TargetGuard, trust

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
BROKEN = {"error": "the connection broke before an answer came"}


class Names:
    """A resolver whose answers a test may change."""

    def __init__(self, **answers: str) -> None:
        self.answers = {name.replace("_", "."): text for name, text in answers.items()}

    def __call__(self, host: str) -> Sequence[ipaddress.IPv4Address | ipaddress.IPv6Address]:
        if host not in self.answers:
            raise OSError("unknown")
        return [ipaddress.ip_address(text) for text in self.answers[host].split()]


def lines_for(names: Names | None = None, allowed: Sequence[Network] = LOOPBACK) -> Lines:
    return Lines(TargetGuard(allowed, Resolver(names) if names else None), trust())


async def post(
    lines: Lines, url: str, secret: str | None = None, timeout: float = 5.0
) -> dict[str, object]:
    body = message.compose_test("d1", "ops")
    errand = Errand("c1", "d1", message.json_of(body), NOW)
    letter = webhook.write_letter(WebhookConfig(url=url, secret=secret), errand)
    return await http.post(lines, letter, NOW, timeout)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as made:
        yield made


async def test_a_message_arrives_signed(receiver: WebhookReceiver) -> None:
    async with lines_for() as lines:
        url = receiver.url.replace("//", "//ada:pass@") + "?a=b#part"
        assert await post(lines, url, "geheim – ß") == {"status": 200}
    (got,) = receiver.received
    assert got.is_signed_with("geheim – ß")
    assert not got.is_signed_with("another")
    assert (got.method, got.path) == ("POST", "/hook?a=b")
    assert got.headers["content-type"] == "application/json"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert got.headers["dormice-id"] == got.json["id"] == "d1"
    assert got.headers["dormice-timestamp"] == str(int(NOW.timestamp()))
    assert got.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(204), {"status": 204}),
        (Answer(302, headers={"Location": "http://127.0.0.1:1/"}), {"status": 302}),
        (Answer(404, body=b"no such hook"), {"status": 404}),
        (Answer(429, retry_after="7"), {"status": 429, "retry_after": 7.0}),
        (Answer(503, retry_after="Mon, 15 Jun 2026 09:02:00 GMT"),
         {"status": 503, "retry_after": 120.0}),
        (Answer(500, retry_after="soon"), {"status": 500}),
        (CLOSE, BROKEN),
        (Answer(200, body=b"x" * 10_000_000), {"status": 200}),
        (Answer(200, headers={"Set-Cookie": "a=b"}), {"status": 200}),
        (Answer(200, headers={"Content-Length": "5"}, body=b""), {"status": 200}),  # Never ends.
    ],
)  # fmt: skip
async def test_answers(
    receiver: WebhookReceiver, answer: Answer, outcome: dict[str, object]
) -> None:
    receiver.next_answers(answer)
    async with lines_for() as lines:
        assert await post(lines, receiver.url) == outcome
        assert await post(lines, receiver.url) == {"status": 200}
    assert all("cookie" not in got.headers for got in receiver.received)
    assert len(receiver.received) == 2  # A redirect is not followed.


async def test_a_receiver_that_hangs_costs_its_time_and_no_more(receiver: WebhookReceiver) -> None:
    receiver.next_answers(HANG)
    async with lines_for() as lines:
        assert await post(lines, receiver.url, timeout=0.3) == {"error": "no answer within 0.3 s"}
        assert await post(lines, receiver.url) == {"status": 200}


async def test_a_late_status_counts_although_its_body_never_ends(receiver: WebhookReceiver) -> None:
    receiver.next_answers(Answer(200, delay_seconds=0.4, headers={"Content-Length": "5"}))
    async with lines_for() as lines:
        assert await post(lines, receiver.url, timeout=0.8) == {"status": 200}


async def test_who_speaks_no_http_and_who_is_not_there(receiver: WebhookReceiver) -> None:
    async def mumble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(mumble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with lines_for() as lines:
        assert await post(lines, f"http://127.0.0.1:{port}/") == BROKEN
        server.close()
        await server.wait_closed()
        refused = {"error": "the connection was refused"}
        assert await post(lines, f"http://127.0.0.1:{port}/") == refused
        tls = await post(lines, receiver.url.replace("http:", "https:"), timeout=1)
        assert "error" in tls


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nha", {"status": 200},
                     id="in its body: the status has come"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", BROKEN, id="in its headers"),
        pytest.param(b"HTTP/1.1 500 No\r\nContent-Length: 900\r\n\r\nha", {"status": 500},
                     id="in the body of a refusal"),
    ],
)  # fmt: skip
async def test_a_server_that_closes_in_the_middle(said: bytes, outcome: dict[str, object]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with lines_for() as lines, server:
        port = server.sockets[0].getsockname()[1]
        assert await post(lines, f"http://127.0.0.1:{port}/") == outcome


async def test_private_addresses_are_refused_on_every_connect(receiver: WebhookReceiver) -> None:
    """A name that pointed outside and now points inside gains nothing: no connection is made."""
    names = Names(hook_example="127.0.0.1")
    url = f"http://hook.example:{receiver.port}/x"
    async with lines_for(names) as lines:
        assert await post(lines, url) == {"status": 200}
        assert receiver.received[0].headers["host"] == f"hook.example:{receiver.port}"
        receiver.next_answers(CLOSE)
        assert await post(lines, url) == BROKEN  # From here on a new connection is needed.
        for inside in ("10.0.0.1", "169.254.169.254", "::1"):
            names.answers["hook.example"] = inside
            outcome = await post(lines, url)
            assert outcome["refused"]
            assert inside in str(outcome["error"])
        names.answers.clear()
        assert await post(lines, url) == {"error": "the host name could not be resolved"}
    assert len(receiver.received) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1"])
async def test_no_spelling_of_this_machine_gets_through(
    receiver: WebhookReceiver, host: str
) -> None:
    async with lines_for(allowed=()) as lines:
        outcome = await post(lines, f"http://{host}:{receiver.port}/")
    assert outcome["refused"]
    assert "DORMICE_ALLOW_TARGETS" in str(outcome["error"])
    assert receiver.received == []


async def test_the_next_address_is_tried_when_one_is_dead(receiver: WebhookReceiver) -> None:
    async with lines_for(Names(two_example="127.0.0.99 127.0.0.1")) as lines:
        assert await post(lines, f"http://two.example:{receiver.port}/") == {"status": 200}


async def test_a_proxy_in_the_environment_is_not_used(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with lines_for() as lines:
        assert await post(lines, receiver.url) == {"status": 200}


def make_certificate(folder: Path, name: str) -> Path:
    """Return a file with a self-signed certificate for `name`, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path


async def test_tls_is_checked_against_the_name_not_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to the vetted address; SNI and certificate keep the name."""
    certificate = make_certificate(tmp_path, "hook.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    asked: list[str | None] = []

    def note_name(_socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        asked.append(name)

    context.sni_callback = note_name
    names = Names(hook_example="127.0.0.1", other_example="127.0.0.1")
    async with WebhookReceiver(tls=context) as receiver:
        url = f"https://hook.example:{receiver.port}/"
        async with lines_for(names) as lines:
            untrusted = await post(lines, url)
            assert untrusted == {"error": "TLS: self-signed certificate"}
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with lines_for(names) as lines:
            assert await post(lines, url) == {"status": 200}
            wrong = await post(lines, url.replace("hook", "other"))
            assert "TLS: Hostname mismatch" in str(wrong["error"])
    assert asked == ["hook.example", "hook.example", "other.example"]
