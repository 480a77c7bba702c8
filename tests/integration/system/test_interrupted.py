"""A run that is cut off three times: again at each hello, then told; a success ends that."""

from __future__ import annotations

from libs.common.clock import SystemClock
from libs.common.runs import job_id, run_id
from tests.integration.system.stack import Stack

YEARLY = "0 0 1 1 *"
ATTEMPTS = (1, 2, 3)


async def test_three_times_cut_off_is_told_and_a_success_ends_it(stack: Stack) -> None:
    web = await stack.add_host("web-3", always_on=True, cron=YEARLY)
    await stack.until_display(web, "online")
    fire = SystemClock().now().replace(second=0, microsecond=0)
    run = run_id(web.id, web.schedule, web.group, fire)
    await web.agent.fire(web.schedule, web.group, fire)
    for attempt in ATTEMPTS:
        sent = await web.agent.wait_for("run")
        assert (sent["job_id"], sent["attempt"]) == (job_id(run, attempt), attempt)
        assert await stack.kinds(web) == []
        await web.agent.accept(sent["job_id"])
        await web.agent.start(sent["job_id"])
        await web.agent.abort()
        web.agent.running = []  # It was killed: it knows nothing of the run any more.
        await stack.connect(web)
    await stack.until_kinds(web, "backup_failed")
    (alert,) = await stack.alerts(web)
    assert alert["message"] == "Backup of home was interrupted 3 times"
    jobs = {job["id"]: job["status"] for job in await stack.jobs(web)}
    assert jobs == {job_id(run, attempt): "interrupted" for attempt in ATTEMPTS}
    await stack.post(f"/hosts/{web.id}/backup", source_group_id=web.group)
    again = await web.agent.wait_for("run")
    await web.agent.accept(again["job_id"])
    await web.agent.start(again["job_id"])
    await web.agent.finish(again["job_id"])
    await stack.until_kinds(web)
