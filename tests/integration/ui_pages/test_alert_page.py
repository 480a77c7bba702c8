"""The page of one alert, where the link of a notification leads, and what the list says of each."""

from __future__ import annotations

import httpx

from tests.integration.ui.world import World
from tests.integration.ui_pages.browser import text_of


async def failed(world: World) -> str:
    """Have a host's backup fail; return the id of its alert."""
    host_id = await world.enroll("web-1")
    session = await world.hello(host_id)
    made = await world.post(f"/hosts/{host_id}/source-groups", name="home", includes=["/home"])
    await world.put(f"/hosts/{host_id}/repository", url="/r", password="p")
    await world.serve_commands()
    job = await world.post(f"/hosts/{host_id}/backup", source_group_id=made["id"])
    await world.finish(host_id, session, job["job_id"], "failed", error="no space left")
    await world.until_field(host_id, "open_alerts", 1)
    (alert,) = (await world.get("/alerts", host_id=host_id))["items"]
    return str(alert["id"])


async def test_the_link_of_a_notification_leads_to_its_alert(
    world: World, admin: httpx.AsyncClient
) -> None:
    alert_id = await failed(world)
    answer = await admin.get(f"/alerts/{alert_id}")
    assert answer.status_code == 200
    assert f'data-alert="{alert_id}"' in answer.text
    assert "no space left" in text_of(answer.text)
    assert f'action="/alerts/{alert_id}/resolve"' in answer.text
    await world.post(f"/alerts/{alert_id}/resolve")
    assert "resolved" in text_of((await admin.get(f"/alerts/{alert_id}")).text)


async def test_an_alert_that_is_none_is_not_found(admin: httpx.AsyncClient) -> None:
    for wrong in ("01JXEVENT0000000000000000A", "nope"):
        answer = await admin.get(f"/alerts/{wrong}")
        assert answer.status_code == 404
