"""Mail over a real SMTP server: encryption, login, threads, refusals, and bad servers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.common.events.alert import AlertState
from services.notify import message
from services.notify.configs import read_config
from services.notify.kinds import smtp
from services.notify.kinds.base import Errand, Wires
from services.notify.policy import News
from services.notify.targets import Resolver
from tests.integration.notify.mail_server import MailServer, mail_server
from tests.integration.notify.test_webhook import Names, make_certificate
from tests.integration.notify.wires import NOW, body_of, send, wires
from tests.unit.notify.world import make_alert

NAMES = Names(mail_example="127.0.0.1")
RAISED = body_of(News.RAISED, make_alert())


def config(server: MailServer, **more: Any) -> dict[str, Any]:
    return {
        "host": "mail.example", "port": server.port, "sender": "dormice@x.example",
        "to": ["a@x.example", "b@x.example"], "security": "none", **more,
    }  # fmt: skip


@asynccontextmanager
async def out(trusted: ssl.SSLContext | None = None) -> AsyncIterator[Wires]:
    async with wires(resolver=Resolver(NAMES), trusted=trusted) as made:
        yield made


@pytest.fixture
def contexts(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what the server shows, and what trusts it."""
    certificate = make_certificate(tmp_path, "mail.example")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    return server, ssl.create_default_context(cafile=str(certificate))


async def test_a_mail_arrives_at_all_of_its_recipients() -> None:
    async with mail_server() as server, out() as ways:
        assert await send(ways, "smtp", config(server), RAISED) == {"taken": True}
        assert server.left == 1
    (mail,), (envelope,) = server.mails, server.envelopes
    assert envelope.rcpt_tos == ["a@x.example", "b@x.example"]
    assert envelope.mail_from == "dormice@x.example"
    assert mail["Subject"] == "[warning] name-h1: Agent offline for 17m0s (threshold 15m0s)"
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert "https://dormice.example/alerts/a1" in plain.get_content()
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


async def test_an_alert_is_one_thread() -> None:
    alert = make_alert()
    over = alert.model_copy(update={"state": AlertState.RESOLVED, "resolved_at": NOW})
    async with mail_server() as server, out() as ways:
        await send(ways, "smtp", config(server), RAISED)
        await send(ways, "smtp", config(server), body_of(News.RESOLVED, over, "d2"))
        await send(ways, "smtp", config(server), RAISED)  # Tried again: the answer got lost.
    first, second, again = server.mails
    assert second["References"] == second["In-Reply-To"] == first["Message-ID"]
    assert second["Subject"] == f"Re: {first['Subject']}"
    assert again["Message-ID"] == first["Message-ID"]
    assert second["Message-ID"] != first["Message-ID"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_encrypted_with_login(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], security: str
) -> None:
    server_side, trusted = contexts
    login = {"username": "dormice", "password": "right", "security": security}
    implicit = security == "tls"
    async with (
        mail_server(tls=server_side, implicit=implicit, login=True) as server,
        out(trusted) as ways,
    ):
        assert await send(ways, "smtp", config(server, **login), RAISED) == {"taken": True}
        wrong = await send(ways, "smtp", config(server, **login | {"password": "wrong"}), RAISED)
    assert wrong == {"error": "SMTP 535: the login was refused", "refused": True}
    assert set(server.logins) == {("dormice", "right"), ("dormice", "wrong")}
    assert len(server.mails) == 1
    assert implicit or server.encrypted == [True]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_that_nobody_trusts_is_refused_before_the_login(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], security: str
) -> None:
    login = {"username": "dormice", "password": "right", "security": security}
    async with (
        mail_server(tls=contexts[0], implicit=security == "tls", login=True) as server,
        out() as ways,
    ):
        outcome = await send(ways, "smtp", config(server, **login), RAISED)
    assert outcome == {"error": "TLS: self-signed certificate"}
    assert server.logins == []


async def test_a_server_without_starttls_gets_nothing() -> None:
    async with mail_server() as server, out() as ways:
        outcome = await send(ways, "smtp", config(server, security="starttls"), RAISED)
    assert outcome["refused"]
    assert "STARTTLS" in outcome["error"]
    assert server.mails == []


@pytest.mark.parametrize(
    ("refuse", "outcome"),
    [
        ({"DATA": "554 looks like spam from dormice@x.example"},
         {"error": "SMTP 554: the message was refused", "refused": True}),
        ({"DATA": "451 try later"}, {"error": "SMTP 451: the message was refused"}),
        ({"a@x.example": "550 nobody", "b@x.example": "550 nobody"},
         {"error": "SMTP 550: no recipient was accepted", "refused": True}),
        ({"a@x.example": "550 nobody", "b@x.example": "450 busy"},
         {"error": "SMTP 550: no recipient was accepted", "refused": False}),
        ({"a@x.example": "550 nobody"},
         {"taken": True, "error": "1 of 2 recipients were refused"}),
    ],
)  # fmt: skip
async def test_what_the_server_refuses(refuse: dict[str, str], outcome: dict[str, Any]) -> None:
    async with mail_server() as server, out() as ways:
        server.refuse = refuse
        assert await send(ways, "smtp", config(server), RAISED) == outcome


async def test_private_addresses_are_refused_whatever_name_leads_there() -> None:
    async with mail_server() as server, wires(allowed=(), resolver=Resolver(NAMES)) as ways:
        for host in ("mail.example", "localhost", "127.1"):
            given = {**config(server), "host": host}
            outcome = await send(ways, "smtp", given, RAISED)
            assert outcome.get("refused") or "resolved" in outcome["error"]
    assert server.mails == server.envelopes == []


NO_SMTP = "what answers there speaks no SMTP"
MANY = b"220-" + b"x" * 500 + b"\r\n"


@pytest.mark.parametrize(
    ("says", "error"),
    [
        pytest.param(b"", "the connection broke before the mail was taken", id="closes at once"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", NO_SMTP, id="is no mail"),
        pytest.param(b"554 go away\r\n", "SMTP 554: the mail server takes no connection", id="554"),
        pytest.param(b"421 too many\r\n", "SMTP 421: the mail server takes no connection", id="42"),
        pytest.param(b"220 " + b"x" * 10_000_000, NO_SMTP, id="a line of 10 MB"),
        pytest.param(MANY * 20_000, "", id="10 MB of lines, then closes"),
        pytest.param(b"220 mail.example ESMTP\r\n", "the connection broke", id="closes midway"),
    ],
)  # fmt: skip
async def test_servers_that_misbehave_are_one_clear_error(says: bytes, error: str) -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        with suppress(ConnectionError, asyncio.CancelledError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, out() as ways:
        outcome = await send(ways, "smtp", config(MailServer(port)), RAISED)
    assert outcome["error"].startswith(error) if error else outcome["error"]
    assert "taken" not in outcome


async def test_a_server_that_hangs_costs_its_time_and_no_more() -> None:
    ended = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, out() as ways:
        asked = read_config("smtp", config(MailServer(port)))
        assert isinstance(asked, smtp.SmtpConfig)
        errand = Errand("c1", "d1", message.json_of(RAISED), NOW)
        outcome = await smtp.send(ways, asked, errand, 0.3)
        ended.set()
    assert outcome == {"error": "no answer within 0.3 s"}


async def test_who_is_not_there() -> None:
    async with mail_server() as server:
        gone = config(server)
    async with out() as ways:
        outcome = await send(ways, "smtp", gone, RAISED, NOW + timedelta(hours=1))
        assert outcome == {"error": "the connection was refused"}
        unknown = await send(ways, "smtp", {**gone, "host": "nowhere.example"}, RAISED)
    assert unknown == {"error": "the host name could not be resolved"}
