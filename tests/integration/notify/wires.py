"""What the tests of kinds send through, and the messages that they send."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from libs.common.events.alert import Alert
from services.notify import message
from services.notify.configs import read_config
from services.notify.kinds.apprise import AppriseWorkers
from services.notify.kinds.base import Errand, Outcome, Wires
from services.notify.kinds.table import kind_of
from services.notify.lines import Lines
from services.notify.policy import News
from services.notify.target_rules import Network
from services.notify.targets import Resolver, TargetGuard, trust

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
BASE = "https://dormice.example"


@asynccontextmanager
async def wires(
    allowed: Sequence[Network] = LOOPBACK, resolver: Resolver | None = None,
    trusted: ssl.SSLContext | None = None, apprise_seconds: float = 30.0,
) -> AsyncIterator[Wires]:  # fmt: skip
    guard = TargetGuard(allowed, resolver)
    context = trusted or trust()
    workers = AppriseWorkers(allowed, apprise_seconds)
    async with Lines(guard, context) as lines:
        try:
            yield Wires(lines, guard, context, allowed, workers)
        finally:
            await workers.close()


def body_of(news: News, alert: Alert, delivery: str = "d1") -> dict[str, Any]:
    return message.compose(delivery, news, alert, BASE)


async def send(
    out: Wires, kind: str, config: dict[str, Any], body: dict[str, Any], now: datetime = NOW
) -> Outcome:
    """Send as the courier does: by the kind's table, from a config as an operator gives it."""
    errand = Errand("c1", body["id"], message.json_of(body), now)
    return await kind_of(kind).send(out, read_config(kind, config), errand)
