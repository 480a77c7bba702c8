"""Making, changing, testing and removing channels: what is asked and what is said."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from cli.asking import read_secret
from cli.client import Client
from cli.errors import BadCommand
from cli.finding import find_host, find_part
from cli.options import Ask
from cli.removing import remove
from cli.table import Row
from libs.common.clock import monotonic_seconds
from libs.common.durations import parse_duration
from libs.common.errors import BadInput
from libs.common.weekly import parse_days

SECRETS = {
    "webhook": "secret", "smtp": "password", "ntfy": "token", "alertmanager": "token",
    "apprise": "url",
}  # fmt: skip
TEST_SECONDS = 30.0
LOOK_SECONDS = 0.2
_ANY = ("all", "none", "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of which alerts; None: nothing was said. `hosts` as a person names them."""

    kinds: Sequence[str] | None
    severities: Sequence[str] | None
    tags: Sequence[str] | None
    hosts: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Pace:
    """When not, and how many; None: nothing was said."""

    quiet: str | None
    days: str | None
    zone: str | None
    breaks_through: Sequence[str] | None
    rate: str | None


def create_channel(
    ask: Ask, named: tuple[str, str], config: Sequence[str], secret_file: Path | None,
    wanted: Wanted, pace: Pace,
) -> None:  # fmt: skip
    """`named`: name and kind."""
    name, kind = named
    body: dict[str, Any] = {"name": name, "kind": kind}
    body["config"] = _config(kind, config, secret_file)
    body |= _wishes(ask.client, {}, wanted) | _pace(None, pace)
    made = ask.client.post("/channels", body)
    ask.out.result(made, f"channel {name} added", f"dormice channel test {name}")


def patch_channel(
    ask: Ask, named: tuple[str, str | None], config: Sequence[str], secret_file: Path | None,
    wanted: Wanted, pace: Pace,
) -> None:  # fmt: skip
    """`named`: the channel, and its new name."""
    channel = find_channel(ask.client, named[0])
    body: dict[str, Any] = {} if named[1] is None else {"name": named[1]}
    if config or secret_file is not None:
        body["config"] = _config(channel["kind"], config, secret_file)
    body |= _wishes(ask.client, channel["filter"] or {}, wanted)
    body |= _pace(channel["quiet_hours"], pace)
    if not body:
        raise BadCommand("say what to change; see `dormice channel change --help`")
    ask.out.result(
        ask.client.patch(f"/channels/{channel['id']}", body), f"channel {channel['name']} changed"
    )


def send_test(ask: Ask, word: str) -> None:
    """Wait for the outcome, and say it. Raises: typer.Exit with 1 if it did not arrive."""
    channel = find_channel(ask.client, word)
    sent = ask.client.post(f"/channels/{channel['id']}/test")["delivery_id"]
    row = _await_outcome(ask.client, channel["id"], sent)
    ask.out.result(row, f"test to {channel['name']}: {outcome_of(row)}")
    if row["state"] != "delivered":
        raise typer.Exit(1)


def _await_outcome(client: Client, channel_id: str, delivery_id: str) -> Row:
    """Return the delivery once it was tried, or after some time as it is."""
    end = monotonic_seconds() + TEST_SECONDS
    while True:
        rows = client.get(f"/channels/{channel_id}/deliveries", limit=50)["items"]
        row: Row = next(one for one in rows if one["id"] == delivery_id)
        if row["state"] not in ("queued", "sending") or monotonic_seconds() > end:
            return row
        time.sleep(LOOK_SECONDS)


def outcome_of(delivery: Row) -> str:
    """`delivered (HTTP 200)`, `waiting: HTTP 503`, `failed: the connection was refused`."""
    if delivery["error"]:
        return f"{delivery['state']}: {delivery['error']}"
    status = f" (HTTP {delivery['status']})" if delivery["status"] else ""
    return f"{delivery['state']}{status}"


def delete_channel(ask: Ask, word: str, *, sure: bool) -> None:
    channel = find_channel(ask.client, word)
    question = f"Remove channel {channel['name']}? Nobody is told by it any more."
    said = f"channel {channel['name']} removed"
    remove(ask, "/channels", channel, question, said, sure=sure)


def find_channel(client: Client, word: str) -> Row:
    """Raises: NotFound, Ambiguous."""
    return find_part(client.items("/channels"), word, "channel")


def _config(kind: str, given: Iterable[str], secret_file: Path | None) -> dict[str, Any]:
    """Return `KEY=VALUE`s as the API takes them. Raises: BadCommand."""
    config: dict[str, Any] = {}
    secret = SECRETS.get(kind)
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BadCommand(f"write KEY=VALUE, such as url=https://…; not {pair[:40]!r}")
        if key == secret and value:
            raise BadCommand(f"{key} never is an argument, others could read it: --secret-file")
        if key.startswith("labels."):
            config.setdefault("labels", {})[key.removeprefix("labels.")] = value
        else:
            config[key] = _value(key, value)
    if secret_file is not None:
        if secret is None:
            raise BadCommand(f"{kind[:32]!r} is no type of channel; see --help")
        config[secret] = read_secret(secret.capitalize(), secret_file)
    return config


def _value(key: str, text: str) -> Any:
    if text == "":
        return None
    return int(text) if key == "port" and text.isascii() and text.isdigit() else text


def _wishes(client: Client, before: Row, wanted: Wanted) -> dict[str, Any]:
    """Return the filter if anything was said of it: what was not named stays as it was."""
    said: dict[str, Sequence[str] | None] = {
        "kinds": wanted.kinds, "severities": wanted.severities, "tags": wanted.tags,
        "host_ids": wanted.hosts,
    }  # fmt: skip
    if all(value is None for value in said.values()):
        return {}
    after = dict(before)
    for name, values in said.items():
        if values is None:
            continue
        kept = [value for value in values if value not in _ANY]
        if name == "host_ids":
            kept = [find_host(client, value)["id"] for value in kept]
        after[name] = kept
    return {"filter": {name: values for name, values in after.items() if values} or None}


def _pace(before: Row | None, pace: Pace) -> dict[str, Any]:
    """Return quiet hours and rate as far as something was said of them. Raises: BadCommand."""
    body: dict[str, Any] = {}
    if pace.quiet in _ANY and pace.quiet is not None:
        body["quiet_hours"] = None
    elif any(value is not None for value in (pace.quiet, pace.days, pace.zone)) or (
        pace.breaks_through
    ):
        body["quiet_hours"] = _quiet(before, pace)
    if pace.rate is not None:
        body["rate_limit"] = None if pace.rate in _ANY else _rate(pace.rate)
    return body


def _quiet(before: Row | None, pace: Pace) -> dict[str, Any]:
    quiet = dict(before or {})
    if pace.quiet is not None:
        begins, dash, ends = pace.quiet.replace("–", "-").partition("-")
        if not dash:
            raise BadCommand("write quiet hours as 22:00-07:00")
        quiet |= {"from": begins.strip(), "to": ends.strip()}
    elif not quiet:
        raise BadInput("say from when to when it is quiet: --quiet 22:00-07:00")
    if pace.days is not None:
        quiet["days"] = _days(pace.days)
    if pace.zone is not None:
        quiet["timezone"] = pace.zone
    if pace.breaks_through:
        quiet["breaks_through"] = [one for one in pace.breaks_through if one not in _ANY]
    return quiet


def _days(text: str) -> list[str]:
    """Raises: BadCommand."""
    try:
        return list(parse_days(text.lower()))
    except ValueError as error:
        raise BadCommand(str(error)) from None


def _rate(text: str) -> dict[str, int]:
    count, slash, window = text.partition("/")
    try:
        seconds = parse_duration(window).total_seconds() if slash else 0
        rate = {"messages": int(count), "minutes": int(seconds // 60)}
    except ValueError:
        rate = {"messages": 0, "minutes": 0}
    if min(rate.values()) < 1:
        raise BadCommand("write a rate as 10/15m: so many messages in so long, a minute at least")
    return rate
