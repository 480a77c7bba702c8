"""Secrets that someone takes elsewhere: enrollment tokens and setup codes. Only they are on
stdout; what to do with them is said on stderr."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from cli.options import Ask
from cli.output import warn
from cli.times import day_and_clock, moment
from libs.common.addresses import Listen
from libs.common.settings import DormiceSettings

LOCAL = ("127.0.0.1", "localhost", "::1")


class GatewayAddress(DormiceSettings):
    """Where agents connect, as far as this machine knows."""

    gateway_listen: Listen = "127.0.0.1:8481"


def make_token(ask: Ask, wanted: dict[str, Any]) -> None:
    """Make an enrollment token and print it."""
    made = ask.client.post("/enrollment-tokens", wanted)
    if ask.as_json:
        ask.out.json(made)
        return
    print(made["token"], flush=True)
    at = moment(made["expires_at"])
    uses = wanted.get("uses", 1)
    times = "once" if uses == 1 else f"{uses} times"
    warn(f"good {times}, until {day_and_clock(at) if at else '?'}; it is not shown again")
    address = gateway_url(ask)
    warn(f"next: on the host, DORMICE_ENROLL_TOKEN=... dormice agent enroll {address}")
    if urlsplit(address).hostname in LOCAL:
        warn("note: that address only works on this machine; see DORMICE_GATEWAY_LISTEN")


def gateway_url(ask: Ask) -> str:
    """Return where an agent connects: as the `up` here says, else beside the API."""
    said = ask.settings.data / "gateway.url"
    host = urlsplit(ask.client.where.url).hostname or "HOST"
    if host in LOCAL and said.exists():
        return said.read_text("utf-8").strip()
    listen, _, port = GatewayAddress.load().gateway_listen.rpartition(":")
    anywhere = listen in ("", "0.0.0.0", "[::]")  # noqa: S104  # What a listener says.
    return f"http://{host if anywhere or host not in LOCAL else listen}:{port}"


def make_setup_code(ask: Ask) -> None:
    """Make a setup code and print it; the one before it no longer works."""
    made = ask.client.post("/setup-code")
    if ask.as_json:
        ask.out.json(made)
        return
    print(made["code"], flush=True)
    at = moment(made["expires_at"])
    warn(f"good once, until {day_and_clock(at) if at else '?'}")
    warn(f"next: open {ask.client.where.url}/setup and type it")
