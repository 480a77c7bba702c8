"""What healthchecks tells of checks that nobody pings any more: to one webhook, by its own
`sendalerts`, as its Docker image runs it."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from libs.common.testing.webhook_receiver import Answer, WebhookReceiver
from tests.bench.healthchecks.installed import Healthchecks
from tests.bench.hosts import PATIENCE_SECONDS

GO_SILENT = """
from datetime import timedelta
from django.utils.timezone import now
from hc.api.models import Channel
channel = Channel.objects.create(project=project, kind="webhook", value={webhook!r})
channel.checks.add(*checks)
then = now() - timedelta(days=3)
Check.objects.update(status="up", last_ping=then, alert_after=then + timedelta(days=2))
"""
SENT, GIVEN_UP = b"(webhook) OK", b"(webhook) Error"


async def of_silent_checks(code: Path, folder: Path, count: int) -> int:
    """Return how many messages come when so many checks go down at once."""
    async with WebhookReceiver() as receiver, _telling(code, folder, receiver, count) as process:
        await _outcomes(process, count)
        return len(receiver.received)


async def dropped(code: Path, folder: Path, count: int, away_seconds: float) -> int:
    """Return of how many checks nobody is ever told if the receiver answers 503 for so long, from
    the first message on."""
    async with WebhookReceiver() as receiver:
        receiver.default = Answer(503)
        async with _telling(code, folder, receiver, count) as process:
            outcomes = asyncio.ensure_future(_outcomes(process, count))
            await receiver.wait_for(1, PATIENCE_SECONDS)
            await asyncio.sleep(away_seconds)
            receiver.default = Answer()
            return (await outcomes).count(GIVEN_UP)


async def _outcomes(process: Process, count: int) -> list[bytes]:
    """Return what became of so many messages, as it says itself. Raises: TimeoutError."""
    assert process.stdout is not None
    found: list[bytes] = []
    async with asyncio.timeout(2 * PATIENCE_SECONDS):
        while len(found) < count:
            line = await process.stdout.readline()
            assert line, "sendalerts ended"
            found += [outcome for outcome in (SENT, GIVEN_UP) if outcome in line]
    return found


@asynccontextmanager
async def _telling(
    code: Path, folder: Path, receiver: WebhookReceiver, count: int
) -> AsyncIterator[Process]:
    """Let so many checks go down, with one webhook that is told of them."""
    told = {"method": "POST", "url": receiver.url, "body": "$NAME_JSON", "headers": {}}
    webhook = {f"{key}_{status}": value for key, value in told.items() for status in ("up", "down")}
    peer = Healthchecks(code, folder)
    await peer.make_checks(count, GO_SILENT.format(webhook=json.dumps(webhook)))
    process = await asyncio.create_subprocess_exec(
        *peer.manage, "sendalerts",
        cwd=code, env=peer.environment, stdout=PIPE, stderr=DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        await process.communicate()
