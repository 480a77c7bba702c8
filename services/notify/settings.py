"""What an operator can set of notify."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, field_validator
from pydantic_settings import NoDecode

from libs.common.addresses import Listen
from libs.common.settings import DormiceSettings
from services.notify.target_rules import Network


def _read_networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(_read_network(part.strip()) for part in value.split(",") if part.strip())


def _read_network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a network; write 127.0.0.0/8,10.0.0.0/8") from None


_EVERYWHERE = ("", "0.0.0.0", "[::]")  # noqa: S104  read, not listened on


class NotifySettings(DormiceSettings):
    """What notify reads of the settings; DORMICE_UI_LISTEN is the ui's."""

    data: Path = Path("dormice-data")
    """The state directory; notify keeps `notify.db` and `notify.key` in it."""

    allow_targets: Annotated[
        tuple[Network, ...], NoDecode, BeforeValidator(_read_networks)
    ] = ()  # fmt: skip
    """Networks that messages may reach although they are private."""

    ui_listen: Listen = "127.0.0.1:8480"
    public_url: str | None = None
    """Where people reach the pages; unset: where the ui listens."""

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value

    @property
    def links_begin(self) -> str:
        """Return how the links in messages begin."""
        if self.public_url is not None:
            return self.public_url
        host, _, port = self.ui_listen.rpartition(":")
        return f"http://{'127.0.0.1' if host in _EVERYWHERE else host}:{port}"

    @property
    def database_path(self) -> Path:
        return self.data / "notify.db"

    @property
    def key_path(self) -> Path:
        """Where the key lies that seals the channels' addresses and secrets."""
        return self.data / "notify.key"
