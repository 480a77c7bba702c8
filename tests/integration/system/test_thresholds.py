"""A tag's threshold on the whole system: it holds at once, is told again, and ends."""

from __future__ import annotations

from libs.common.testing.webhook_receiver import WebhookReceiver
from tests.integration.system.stack import Stack
from tests.integration.system.test_alert_rules import add_laptop, back_up


async def test_r6_r7_a_tags_staleness_is_told_told_again_and_taken_away(stack: Stack) -> None:
    async with WebhookReceiver() as receiver:
        await stack.post("/channels", name="ops", kind="webhook", config={"url": receiver.url})
        laptop = await add_laptop(stack, "laptop-7")
        await back_up(stack, laptop)
        await stack.patch(f"/hosts/{laptop.id}", tags=["paris"])
        await stack.patch("/thresholds", tag="paris", stale="1s")
        await stack.until_kinds(laptop, "stale_schedule")
        await receiver.wait_for(2)
        first, again = receiver.received[:2]
        assert (first.event, again.event) == ("raised", "reminded")
        assert again.json["summary"].startswith("Still open: laptop-7: No backup in ")
        assert again.json["summary"].endswith("(threshold 1s)")
        limits = (await stack.get(f"/hosts/{laptop.id}"))["thresholds"]
        assert limits["stale"] == {"value": "1s", "from": "tag:paris"}
        assert (await stack.api.delete("/thresholds?tag=paris")).status_code == 204
        await stack.until_kinds(laptop)
        assert {one.event for one in receiver.received} <= {"raised", "reminded", "resolved"}
