"""R18: each service process is killed amid a burst of 5,000 events, and nobody can tell afterwards.

Two runs of the same burst, one undisturbed and one with three kills -9 at random moments, end with
the same tables and the same events: nothing is lost, nothing is doubled.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from libs.common.events.host import SYSTEM
from libs.common.rpc import call
from libs.common.testing.nats import NatsServer
from tests.integration.system.burst import Burst
from tests.integration.system.bursts import BURSTS
from tests.integration.system.run_of_burst import Around, run_stages, surrounded
from tests.integration.system.victim import Victim, differences

LOOP = {
    "migration": {"*"},  # No state.
    "position": {"*"},  # Of another log. That it is the tail is what both runs wait for.
    "outbox": {"*"},  # Empty in both: waited for. What went through it is compared as events.
    "effect": {"*"},  # The same.
    "deadline": {"due_at"},  # From when it was decided.
    "decision": {"row_id", "at", "text", "facts"},  # Texts and facts show moments and durations.
}
"""What no service's comparison looks at, `*` for a whole table, and why."""

LOOKS = ("no_alert", "no_alert_yet", "alert_stands", "outage_goes_on")
"""Each look that leads to nothing leaves such a decision; how often alerting looks depends on its
batches. So does how many of a mass outage's hosts it knows to be gone when the first is told of:
each that it hears of later is the outage's `same_condition` again."""

BEATS = {"heard_at"}  # From the last beat.
IGNORED: dict[str, dict[str, set[str]]] = {
    "registry": {
        "installation": {"*"},  # A random salt, made at the first start.
        "hello": {"row_id"},
    },
    "presence": {
        "gateway": BEATS,
        "interval": {"row_id"},
        "known_session": {"row_id"},
    },
    "alerting": {
        "gateway": BEATS,
        "known_session": {"row_id"},
        "stretch": {"row_id"},
        "untold": {"row_id"},
        "job_end": {"at"},  # When it was heard of.
        "alert": {"alert_id", "resolved_at", "body"},  # The id is a new one; the rest has moments.
        "outage_member": {"alert_id"},
    },
    "catchup": {
        "known_session": {"at"},  # When it was heard of.
        "job": {"at"},  # The same.
    },
    "jobs": {
        "known_session": {"at"},  # When it was heard of.
        "job": {"created_at", "sent_at", "tries"},  # When it was decided and sent, how often.
    },
    "notify": {
        "channel": {
            "id",
            "sealed",
            "created_at",
            "last_delivered_at",
            "last_error",
            "last_error_at",
        },
        # The channel's id is a random one, the message's follows from it. A try that was cut by
        # the kill is made again: under the same id, so it counts, but is not doubled.
        "delivery": {
            "place",
            "id",
            "channel_id",
            "body",
            "tries",
            "created_at",
            "first_tried_at",
            "next_try_at",
            "ended_at",
            "error",
        },
        "delivery_alert": {"channel_id", "place"},
    },
    "ui": {
        "gateway": {"last_beat"},
        "audit": {"id", "event_id", "at", "target"},  # Of its own first entry; see `operator`.
        "operator": {"*"},  # Made at the first start, with random ids and salts.
        "api_token": {"*"},  # The same.
        "setup_code": {"*"},  # The same.
    },
}


async def nothing(_: Around) -> None:
    """Most services need nothing but the log."""


async def add_channel(around: Around) -> None:
    """Have notify tell what is critical."""
    arguments = {
        "name": "desk", "kind": "webhook", "config": {"url": around.receiver.url},
        "filter": {"severities": ["critical"]},
    }  # fmt: skip
    await call(around.buses["ui"], "notify", "create_channel", arguments, actor=SYSTEM)


PREPARE = {"notify": add_channel}


async def run(
    service: str, burst: Burst, folder: Path, random: Random | None
) -> tuple[Any, Any, int]:
    nats = NatsServer(folder / "bus")
    nats.start()
    try:
        await nats.create_topology()
        victim = Victim(service, nats, folder)
        async with surrounded(nats, victim, burst) as around:
            await PREPARE.get(service, nothing)(around)
            await run_stages(around, victim, burst, random)
        return victim.dump(LOOP | IGNORED.get(service, {})), around.emitted, victim.kills
    finally:
        nats.stop()


@pytest.mark.parametrize("service", BURSTS)
async def test_r18_killed_in_a_burst_of_5000(service: str, tmp_path: Path) -> None:
    burst = BURSTS[service]()
    async with asyncio.TaskGroup() as group:
        undisturbed = group.create_task(run(service, burst, tmp_path / "calm", None))
        disturbed = group.create_task(run(service, burst, tmp_path / "killed", Random(service)))
    (calm, emitted, _), (dump, again, kills) = undisturbed.result(), disturbed.result()
    assert kills >= 3
    assert emitted
    assert differences({"events": emitted}, {"events": again}) == []
    for found in (calm, dump):
        found["decision"] = without_looks(found["decision"])
    assert differences(calm, dump) == []


def without_looks(rows: Counter[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    """Return the decisions (host, what, rule) that something followed from."""
    again = ("fleet", "same_condition")
    return Counter(
        {row: count for row, count in rows.items() if row[1] not in LOOKS and row[:2] != again}
    )
