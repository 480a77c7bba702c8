"""`dormice events`: what happens on the bus, one line per event."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from cli.event_log import LOOK_BACK, EventLog, Source, matches
from cli.options import Ask
from cli.output import Output, warn
from cli.terminal import to_ascii
from cli.times import moment
from libs.common.errors import DormiceError, NotFound, Unavailable

RETRY_SECONDS = 1.0
LOCAL_USER = "ui"
"""Beside an `up`: a user that may read the whole log and whose password lies in the directory."""

_FIRST = ("action", "kind", "status", "reason", "error", "percent", "due_at", "place", "attempt")
_UNSAID = frozenset({
    "host_id", "name", "always_on", "session", "connection", "version", "boot_id", "spool_id",
    "log_tail", "hostname", "os", "arch", "service", "timezone", "agent_version", "gateway",
    "protocol", "arm_id", "run_id",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: a subject pattern, how many old ones, and whether to wait for more."""

    subject: str | None
    last: int
    follow: bool


def print_events(ask: Ask, wanted: Wanted, bus: str | None) -> None:
    """Print events until the end of the log, or with `follow` until Ctrl-C."""
    source = find_source(ask, bus)
    say = _teller(ask.out, _names(ask))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_print(source, wanted, say))


def find_source(ask: Ask, given: str | None) -> Source:
    """Return the bus that is meant: as said, as set, or of the `up` on the data directory.

    Raises: NotFound.
    """
    from libs.common.bus.settings import BusSettings

    settings = BusSettings.load(nats_url=given)
    if settings.nats_url is not None:
        return Source(settings.nats_url, settings.nats_user, settings.password())
    folder = ask.settings.data
    address, passwords = folder / "nats.url", folder / "nats" / "passwords.json"
    if not address.exists() or not passwords.exists():
        raise NotFound(f"no bus known: no `dormice up` has run on {folder}; say --bus or --data")
    known = json.loads(passwords.read_text("utf-8"))
    return Source(address.read_text("utf-8").strip(), LOCAL_USER, known[LOCAL_USER])


async def _print(source: Source, wanted: Wanted, say: Callable[[bytes], None]) -> None:
    """Print the last ones, then what comes; after a break go on where it stopped."""
    seq = -1
    while True:
        log = EventLog(source)
        try:
            await log.open()
            async for at, data in _events(log, wanted, seq):
                seq = at
                if data is not None:
                    say(data)
            return
        except Unavailable as error:
            if not wanted.follow or seq < 0:
                raise
            warn(f"dormice: {error.message}; trying again")
            await asyncio.sleep(RETRY_SECONDS)
        finally:
            await log.close()


async def _events(
    log: EventLog, wanted: Wanted, after: int
) -> AsyncIterator[tuple[int, bytes | None]]:
    """Yield (sequence, event); None for one that is not wanted: it only moves the sequence."""
    tail = await log.last_seq()
    resumes = after >= 0
    back = LOOK_BACK if wanted.subject and wanted.last else wanted.last
    start = after + 1 if resumes else max(tail - back + 1, 1)
    old: deque[tuple[int, bytes]] = deque(maxlen=wanted.last)
    yield (after if resumes else tail), None
    if start > tail and not wanted.follow:
        return
    async with contextlib.aclosing(log.read(start)) as events:
        async for seq, subject, data in events:
            fits = wanted.subject is None or matches(wanted.subject, subject)
            if fits and (resumes or seq > tail):
                yield seq, data
            elif fits:
                old.append((seq, data))
            if seq == tail:
                for one in old:
                    yield one
                old.clear()
                if not wanted.follow:
                    return
            if not fits and seq > tail:
                yield seq, None


def _names(ask: Ask) -> dict[str, str]:
    """Return the hosts' names by id, if the API is there to say them."""
    try:
        return {host["id"]: host["name"] for host in ask.client.items("/hosts")}
    except DormiceError:
        return {}


def _teller(out: Output, names: dict[str, str]) -> Callable[[bytes], None]:
    def say(data: bytes) -> None:
        event = json.loads(data)
        if out.as_json:
            print(json.dumps(event), flush=True)
            return
        line = event_line(event, names)
        width = out.terminal.width
        shown = line if width is None or len(line) <= width else line[: width - 1] + "…"
        print(shown if out.terminal.unicode else to_ascii(shown), flush=True)

    return say


def event_line(event: dict[str, Any], names: dict[str, str]) -> str:
    """`11:03:12  presence.offline  laptop-7  reason=sleep`; learns names from host events."""
    data = event["data"]
    record = data.get("host")
    if isinstance(record, dict) and record.get("name"):
        names[record["id"]] = record["name"]
    at = moment(event["time"])
    clock = f"{at.astimezone():%H:%M:%S}" if at else "?"
    kind = ".".join(event["type"].split(".")[1:-1])
    about = names.get(event.get("subject", ""), event.get("subject", ""))
    return f"{clock}  {kind:<22} {about:<14} {_facts(data)}".rstrip()


def _others(data: dict[str, Any]) -> list[str]:
    """Return the fields that come after the telling ones, in their order."""
    return [name for name in data if name not in _FIRST and name not in _UNSAID]


def _is_said(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and value != "" and value is not False


def _facts(data: dict[str, Any]) -> str:
    alert = data.get("alert")
    if isinstance(alert, dict):
        return f"{alert.get('kind')}: {alert.get('message')}"
    names = [*(name for name in _FIRST if name in data), *_others(data)]
    words = [f"{name}={data[name]}" for name in names if _is_said(data[name])]
    return "".join(one if one.isprintable() else " " for one in " ".join(words))
