"""Mail by SMTP: to a vetted address, encrypted unless the operator says otherwise."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Literal

import aiosmtplib
from pydantic import BeforeValidator, Field, field_validator, model_validator

from services.notify.errors import TargetRefused, TargetUnknown
from services.notify.kinds import mail
from services.notify.kinds.base import ChannelConfig, Errand, Kind, Outcome, Wires
from services.notify.kinds.troubles import explain
from services.notify.kinds.urls import is_host
from services.notify.targets import connect

TIMEOUT_SECONDS = 30.0
LEAVE_SECONDS = 1.0
PORTS = {"starttls": 587, "tls": 465, "none": 25}

_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]*)")


def _split(value: object) -> object:
    """Take `a@x.example, b@x.example` for a list, as a form or a command line has it."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


class SmtpConfig(ChannelConfig):
    """`sender` is the From, `to` who gets it; `port` follows from `security` unless it is given."""

    secrets: ClassVar[frozenset[str]] = frozenset({"password"})

    host: str = Field(max_length=253)
    port: int | None = Field(default=None, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = Field(default=None, min_length=1, max_length=254)
    password: str | None = Field(default=None, min_length=1, max_length=1024)
    sender: str
    to: Annotated[list[str], BeforeValidator(_split)] = Field(min_length=1, max_length=50)

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        if not is_host(value.lower()):
            raise ValueError("is no host name and no address")
        return value.lower()

    @field_validator("sender", "to")
    @classmethod
    def _check_address(cls, value: Any) -> Any:
        for address in [value] if isinstance(value, str) else value:
            if len(address) > 254 or not _ADDRESS.fullmatch(address):
                raise ValueError("write addresses as name@host.example")
        return value

    @model_validator(mode="after")
    def _check_login(self) -> SmtpConfig:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.password is not None and self.security == "none":
            raise ValueError("a password is not sent without TLS: security starttls or tls")
        return self

    @property
    def real_port(self) -> int:
        return self.port or PORTS[self.security]

    @property
    def where(self) -> str:
        return f"{', '.join(self.to)} by {self.site}"

    @property
    def site(self) -> str:
        scheme = "smtps" if self.security == "tls" else "smtp"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.real_port}"

    @property
    def target(self) -> tuple[str, str]:
        return "host", self.host


async def send(
    wires: Wires, config: SmtpConfig, errand: Errand, timeout_seconds: float = TIMEOUT_SECONDS
) -> Outcome:
    """Hand the mail over once. A connection of its own: a server may count messages on one."""
    letter = mail.write(errand.body, config.sender, config.to, errand.now)
    try:
        async with asyncio.timeout(timeout_seconds):
            link = await connect(wires.guard, config.host, config.real_port)
            return await _hand_over(wires.trust, config, link, letter)
    except TargetRefused as error:
        return {"error": error.message, "refused": True}
    except TargetUnknown as error:
        return {"error": error.message}
    except (TimeoutError, aiosmtplib.SMTPTimeoutError):
        return {"error": f"no answer within {timeout_seconds:g} s"}
    except aiosmtplib.SMTPRecipientsRefused as error:
        return _refused_recipients([one.code for one in error.recipients])
    except aiosmtplib.SMTPResponseException as error:
        return _answered(error)
    except (aiosmtplib.SMTPException, OSError) as error:
        return {"error": explain(error, otherwise=_BROKE)}


async def _hand_over(
    trust: ssl.SSLContext, config: SmtpConfig, link: socket.socket, letter: bytes
) -> Outcome:
    client = aiosmtplib.SMTP(
        hostname=config.host, sock=link, tls_context=trust, timeout=None, local_hostname="dormice",
        use_tls=config.security == "tls", start_tls=False,
    )  # fmt: skip
    try:
        await client.connect()  # From here on the socket is the connection's.
        missing = await _prepare(client, config)
        if missing is not None:
            return {"error": f"the mail server has no {missing}", "refused": True}
        refused, _ = await client.sendmail(config.sender, config.to, letter)
        await _take_leave(client)
    finally:
        client.close()
    told = {"error": f"{len(refused)} of {len(config.to)} recipients were refused"}
    return {"taken": True, **(told if refused else {})}


async def _prepare(client: aiosmtplib.SMTP, config: SmtpConfig) -> str | None:
    """Encrypt and log in as configured; return what the server lacks for it."""
    await client.ehlo()
    if config.security == "starttls":
        if not client.supports_extension("starttls"):
            return "STARTTLS"
        await client.starttls()
        await client.ehlo()
    if config.username is not None and config.password is not None:
        if not client.supports_extension("auth"):
            return "login"
        await client.login(config.username, config.password)
    return None


async def _take_leave(client: aiosmtplib.SMTP) -> None:
    """Say goodbye. The mail is taken, whatever comes now."""
    with suppress(TimeoutError, aiosmtplib.SMTPException, OSError):
        async with asyncio.timeout(LEAVE_SECONDS):
            await client.quit()


def _refused_recipients(codes: Sequence[int]) -> Outcome:
    """Nobody was accepted: final only if it is for every one of them."""
    final = all(code >= 500 for code in codes)
    return {"error": f"SMTP {max(codes)}: no recipient was accepted", "refused": final}


def _answered(error: aiosmtplib.SMTPResponseException) -> Outcome:
    """The code tells 4xx, for now, from 5xx, for good; the text may quote anything."""
    if error.code < 0:
        return {"error": "what answers there speaks no SMTP"}
    outcome: Outcome = {"error": f"SMTP {error.code}: {_WHAT.get(type(error), _REFUSED)}"}
    return {**outcome, "refused": True} if error.code >= 500 else outcome


_BROKE = "the connection broke before the mail was taken"
_REFUSED = "the mail server refused"
_WHAT = {
    aiosmtplib.SMTPAuthenticationError: "the login was refused",
    aiosmtplib.SMTPSenderRefused: "the sender was refused",
    aiosmtplib.SMTPRecipientRefused: "the recipient was refused",
    aiosmtplib.SMTPDataError: "the message was refused",
    aiosmtplib.SMTPConnectResponseError: "the mail server takes no connection",
}


KIND = Kind(SmtpConfig, send)
