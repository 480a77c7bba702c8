"""A real SMTP server on loopback (aiosmtpd) that keeps what it is given, and refuses as told."""

from __future__ import annotations

import asyncio
import email
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(slots=True)
class MailServer:
    """`refuse`: what is answered at a point (`DATA`, or a recipient) instead of taking it."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    left: int = 0

    async def handle_RCPT(  # noqa: N802  # As aiosmtpd calls it.
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  # As aiosmtpd calls it.
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if "DATA" in self.refuse:
            return self.refuse["DATA"]
        assert isinstance(envelope.content, bytes)
        parsed = email.message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        self.envelopes.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return "250 taken"

    async def handle_QUIT(  # noqa: N802  # As aiosmtpd calls it.
        self, _server: SMTP, _session: Session, _envelope: Envelope
    ) -> str:
        self.left += 1
        return "221 Bye"

    def log_in(
        self, _server: Any, _session: Any, _envelope: Any, _how: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"right", handled=False)


@asynccontextmanager
async def mail_server(
    *, tls: ssl.SSLContext | None = None, implicit: bool = False, login: bool = False
) -> AsyncIterator[MailServer]:
    """Serve with STARTTLS if there is a context (`implicit`: TLS from the first byte)."""
    made = MailServer()

    def protocol() -> SMTP:
        with warnings.catch_warnings():  # It does not know that TLS is there from the first byte.
            warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS")
            return SMTP(
                made, hostname="mail.example", tls_context=None if implicit else tls,
                require_starttls=tls is not None and not implicit, auth_required=login,
                authenticator=made.log_in if login else None, auth_require_tls=not implicit,
            )  # fmt: skip

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls if implicit else None)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()
