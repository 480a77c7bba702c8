"""A silence of every week, as a receiver sees it: alerting, presence and notify on a real bus, a
real webhook receiver; the clock is ours."""

from __future__ import annotations

from pathlib import Path

from libs.common.testing.nats import NatsServer
from libs.common.testing.rig import START
from libs.common.testing.webhook_receiver import WebhookReceiver
from tests.integration.judges.running import Judges
from tests.integration.notify.running import Running
from tests.unit.alerting.kit import (
    FLOOR,
    HOUR,
    MINUTE,
    OFFLINE_AFTER,
    enrolled,
    hello,
    listening,
    offline,
)

UNTIL_NOON = {"days": ["mon"], "from": "11:10", "to": "12:00", "timezone": "Europe/Berlin"}
"""START is a Monday, 11:00 in Berlin."""


async def test_at_the_end_of_a_window_who_is_still_away_is_told_of(
    nats: NatsServer, tmp_path: Path
) -> None:
    """h1 and h3 go silent within the window and h3 returns within it; no silence covers h2."""
    async with (
        WebhookReceiver() as receiver, Running(nats, tmp_path) as notify,
        Judges(nats, tmp_path) as judges,
    ):  # fmt: skip
        notify.clock.set(START)
        await judges.ask("notify", "create_channel", name="ops", kind="webhook",
                         config={"url": receiver.url})  # fmt: skip
        await judges.publish(listening(START), enrolled(tags=("lab",)), enrolled("h2"),
                             enrolled("h3", tags=("lab",)))  # fmt: skip
        await judges.publish(hello(), hello("h2"), hello("h3"))
        await judges.ask("alerting", "create_silence", tag="lab", weekly=UNTIL_NOON,
                         until_ended=True)  # fmt: skip
        judges.beat("gw-1", "h1", "h2", "h3")
        await judges.let_pass(OFFLINE_AFTER)
        await judges.publish(offline(START), offline(START, "h2"), offline(START, "h3"))
        await judges.let_pass(FLOOR)
        await receiver.wait_for(1)
        await judges.publish(hello("h3", session="s2", connection=2))
        await judges.let_pass(START + HOUR - MINUTE - judges.clock.now(), seconds=100)
        assert told(receiver) == ["raised h2"]
        await judges.let_pass(MINUTE)
        await receiver.wait_for(2)
        await judges.publish(hello("h1", session="s2", connection=2))
        await judges.let_pass(MINUTE, "gw-1", "h1", "h3")
        await receiver.wait_for(3)
        assert told(receiver) == ["raised h2", "raised h1", "resolved h1"]


def told(receiver: WebhookReceiver) -> list[str]:
    return [f"{one.event} {one.json['alerts'][0]['host_id']}" for one in receiver.received]
