"""Other jobs than backups on the pages: buttons, the list of snapshots, a restore."""

from __future__ import annotations

import asyncio

import httpx

from tests.integration.ui.test_jobs import ready
from tests.integration.ui.world import World
from tests.integration.ui_pages.browser import log_in, text_of

LISTED = {
    "snapshots": [
        {"id": "1a2b3c4d5e6f7081", "time": "2026-06-15T02:00:00.5Z", "hostname": "laptop",
         "tags": ["home"], "paths": ["/home", "/<b>"], "paths_total": 3}
    ],
    "total": 1,
}  # fmt: skip


async def test_buttons_start_jobs(world: World, admin: httpx.AsyncClient) -> None:
    host_id, group = await ready(world)
    page = (await admin.get(f"/hosts/{host_id}")).text
    for kind in ("check", "prune", "unlock"):
        assert f'name="kind" value="{kind}"' in page
    assert 'value="forget"' not in page, "without retention there is nothing to forget by"
    await world.patch(f"/hosts/{host_id}/source-groups/{group}", retention={"keep_last": 3})
    page = (await admin.get(f"/hosts/{host_id}")).text
    assert 'value="forget"' in page
    answer = await admin.post(f"/hosts/{host_id}/jobs", data={"kind": "check"})
    assert answer.status_code == 303
    (job,) = (await world.get("/jobs"))["items"]
    assert answer.headers["location"] == f"/jobs/{job['id']}?said=job"
    assert (job["kind"], job["pending"]) == ("check", True)
    refused = await admin.post(f"/hosts/{host_id}/jobs", data={"kind": "defragment"})
    assert refused.status_code == 422
    assert "kind must be one of" in text_of(refused.text)


async def test_r20_a_viewer_has_no_buttons_and_may_not(world: World) -> None:
    host_id, _ = await ready(world)
    viewer = await log_in(world, "viewer")
    page = (await viewer.get(f"/hosts/{host_id}/snapshots")).text
    assert "<form" not in page.split("<main", 1)[1]
    for path in ("jobs", "restore"):
        answer = await viewer.post(f"/hosts/{host_id}/{path}", data={"kind": "check"})
        assert answer.status_code == 403
    await viewer.aclose()
    assert (await world.get("/jobs"))["items"] == []


async def test_snapshots_and_a_restore(world: World, admin: httpx.AsyncClient) -> None:
    taken = await world.serve_commands()
    host_id, _ = await ready(world)
    path = f"/hosts/{host_id}/snapshots"
    assert "Not listed yet: List snapshots has laptop look into its" in text_of(
        (await admin.get(path)).text
    )
    session = await world.hello(host_id)
    await admin.post(f"/hosts/{host_id}/jobs", data={"kind": "snapshots"})
    await world.until(lambda: taken)
    (job,) = (await world.get("/jobs"))["items"]
    await world.finish(host_id, session, job["id"], "succeeded", stats=LISTED)
    await world.until_answer(path)
    page = (await admin.get(path)).text
    for shown in ("<code>1a2b3c4d</code>", "2026-06-15 02:00", "<code>/&lt;b&gt;</code>"):
        assert shown in page
    assert "/home /<b> and 1 more" in text_of(page)
    bad = await admin.post(
        f"/hosts/{host_id}/restore", data={"snapshot": "1a2b3c4d", "target": "back"}
    )
    assert bad.status_code == 422
    assert "must be an absolute path" in text_of(bad.text)
    assert 'value="1a2b3c4d"' in bad.text, "what was typed stays"
    form = {"snapshot": "1a2b3c4d", "target": "/back", "paths": "/home/a\n\n/home/b\n"}
    answer = await admin.post(f"/hosts/{host_id}/restore", data=form)
    assert answer.status_code == 303
    shown = text_of((await admin.get(answer.headers["location"])).text)
    assert "/home/a, /home/b of snapshot 1a2b3c4d into /back" in shown


async def test_a_new_group_says_which_snapshots_a_forget_keeps(
    world: World, admin: httpx.AsyncClient
) -> None:
    host_id = await world.enroll("box")
    path = f"/hosts/{host_id}/source-groups"
    form = {"name": "docs", "includes": "/docs", "retention": "daily=7, within=30d"}
    assert (await admin.post(path, data=form)).status_code == 303
    (group,) = (await world.get(path))["items"]
    assert group["retention"] == {"keep_daily": 7, "keep_within": "30d"}
    page = text_of((await admin.get(f"/hosts/{host_id}")).text)
    assert "a forget keeps daily=7 within=30d" in page
    refused = await admin.post(path, data={**form, "name": "more", "retention": "daily"})
    assert refused.status_code == 400
    assert "is no rule" in text_of(refused.text)


async def test_restore_lists_hosts_that_have_a_repository(
    world: World, admin: httpx.AsyncClient
) -> None:
    host_id, _ = await ready(world)
    await world.enroll("bare")
    page = (await admin.get("/restore")).text
    assert f'href="/hosts/{host_id}/snapshots"' in page
    assert "bare" not in page
    assert "laptop" in text_of((await admin.get("/restore", params={"q": "lap"})).text)
    assert "No host with a repository matches." in (await admin.get("/restore?q=bare")).text
    for query, name in (("is:restorable", "laptop"), ("-is:restorable", "bare")):
        assert [one["name"] for one in (await world.get("/hosts", q=query))["items"]] == [name]
    wrong = await admin.get("/restore", params={"q": "state:wrong"})
    assert (wrong.status_code, "is none of" in text_of(wrong.text)) == (422, True)
    chosen = (await admin.get(f"/hosts/{host_id}/snapshots?snapshot=1a2b")).text
    assert 'name="snapshot" required value="1a2b"' in chosen


async def test_an_ended_job_without_output_says_so(world: World, admin: httpx.AsyncClient) -> None:
    await world.serve_commands()
    host_id, group = await ready(world)
    session = await world.hello(host_id)
    job = await world.post(f"/hosts/{host_id}/backup", source_group_id=group)
    path = f"/jobs/{job['job_id']}"
    assert "Nothing printed yet." in (await admin.get(path)).text
    await world.finish(host_id, session, job["job_id"], "succeeded")
    async with asyncio.timeout(10):
        while (await world.get(path))["status"] != "succeeded":
            await asyncio.sleep(0.02)
    for ended in (path, f"{path}/log"):
        page = (await admin.get(ended)).text
        assert "Nothing was printed." in page
        assert "Nothing printed yet." not in page


async def test_what_is_left_of_a_removed_host_links_to_no_page(
    world: World, admin: httpx.AsyncClient
) -> None:
    host_id, group = await ready(world)
    asked = {"source_group_id": group, "when_it_wakes": True}
    job = await world.post(f"/hosts/{host_id}/backup", **asked)
    paths = ("/jobs", f"/jobs/{job['job_id']}", "/audit")
    for path in paths:
        assert f'href="/hosts/{host_id}"' in (await admin.get(path)).text, path
    assert (await world.api.delete(f"/hosts/{host_id}")).is_success
    for path in paths:
        page = (await admin.get(path)).text
        assert "laptop" in page
        assert f'href="/hosts/{host_id}"' not in page, path
