"""Where the bus is, and as whom to go there. Shared by every service."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import structlog
from pydantic import Field, SecretStr, field_validator

from libs.common.bus.nats import NatsBus
from libs.common.errors import Unavailable
from libs.common.settings import DormiceSettings

log = structlog.get_logger()

DURABLE_RETRY_SECONDS = 2.0
_SCHEMES = ("nats", "tls", "ws", "wss")


class BusSettings(DormiceSettings):
    """Unset `nats_url`: the embedded server of `dormice up`."""

    nats_url: str | None = Field(None, description="the bus, such as nats://127.0.0.1:4222")
    nats_user: str | None = Field(None, description="user on the bus (default: the service's name)")
    nats_password: SecretStr | None = Field(None, description="its password")
    nats_password_file: Path | None = Field(None, description="a file that holds its password")
    nats_creds: Path | None = Field(None, description="a NATS credentials file instead")
    nats_ca: Path | None = Field(None, description="CA certificate of the bus, for TLS")
    nats_monitor_url: str | None = Field(None, description="its monitoring URL: is it durable?")
    require_durable: bool = Field(False, description="refuse a bus not known to fsync")

    @field_validator("nats_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        for part in (url or "").split(",") if url else ():
            _check_url(part.strip(), _SCHEMES)
        return url

    @field_validator("nats_monitor_url")
    @classmethod
    def _is_a_page(cls, url: str | None) -> str | None:
        if url is not None:
            _check_url(url, ("http", "https"))
        return url

    @field_validator("nats_password_file", "nats_creds", "nats_ca")
    @classmethod
    def _can_be_read(cls, path: Path | None) -> Path | None:
        if path is not None:
            try:
                path.read_bytes()
            except OSError as error:
                raise ValueError(f"cannot read {path}: {error.strerror}") from None
        return path

    @field_validator("nats_ca")
    @classmethod
    def _holds_a_certificate(cls, path: Path | None) -> Path | None:
        if path is not None:
            try:
                ssl.create_default_context(cafile=path)
            except ssl.SSLError:
                raise ValueError(f"there is no certificate in {path}") from None
        return path

    def password(self) -> str | None:
        """Return the password, from the file if one is named."""
        if self.nats_password_file is not None:
            return self.nats_password_file.read_text().strip()
        return self.nats_password.get_secret_value() if self.nats_password else None


def _check_url(url: str, schemes: tuple[str, ...]) -> None:
    """Raises: ValueError that says how to write it; the URL may hold a password."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"must be written {schemes[0]}://host:port")


def make_bus(settings: BusSettings, service: str) -> NatsBus:
    """Return an unconnected bus for `service`."""
    password = settings.password()
    user = settings.nats_user or (service if password else None)
    return NatsBus(
        settings.nats_url or "nats://127.0.0.1:4222",
        user=user,
        password=password,
        creds=str(settings.nats_creds) if settings.nats_creds else None,
        ca=str(settings.nats_ca) if settings.nats_ca else None,
        name=service,
    )


async def ask_durable(monitor_url: str | None) -> bool | None:
    """Say whether the bus fsyncs before it acknowledges; None: it cannot be known.

    Only the server's monitoring page tells (`/varz`: `jetstream.config.sync_always`).
    """
    if monitor_url is None:
        return None
    try:
        async with httpx.AsyncClient(timeout=3) as client:
            answer = await client.get(monitor_url.rstrip("/") + "/varz")
            config = answer.raise_for_status().json()["jetstream"]["config"]
    except (httpx.HTTPError, KeyError, ValueError):
        return None
    return bool(config.get("sync_always", False))


async def require_durable(monitor_url: str | None) -> None:
    """Return once the bus is known to fsync; one that is still away is waited for.

    Raises: Unavailable if it does not, or cannot be known.
    """
    refusal = "DORMICE_REQUIRE_DURABLE: this bus is not known to fsync"
    if monitor_url is None:
        raise Unavailable(f"{refusal}; set DORMICE_NATS_MONITOR_URL")
    while (durable := await ask_durable(monitor_url)) is None:
        log.warning("durability_unknown_waiting", monitor_url=monitor_url)
        await asyncio.sleep(DURABLE_RETRY_SECONDS)
    if not durable:
        raise Unavailable(refusal)
