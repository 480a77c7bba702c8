"""Pages that are also forms: the order of checks, what is done, what is left in the audit log."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from tests.integration.ui.world import World
from tests.integration.ui_pages.browser import PASSWORD, log_in, text_of

OTHER_SITES = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)


async def actions(world: World, host_id: str) -> list[str]:
    found = await world.get("/audit", host_id=host_id)
    return [entry["action"] for entry in found["items"]]


@pytest.mark.parametrize(
    ("form", "always_on"),
    [
        pytest.param({"always_on": "on"}, True, id="present"),
        pytest.param({"always_on": ""}, True, id="present with any value"),
        pytest.param({"always_on": "false"}, True, id="even if it says false"),
        pytest.param({}, False, id="absent"),
        pytest.param({"other": "1"}, False, id="another field only"),
    ],
)
async def test_mode_form(
    world: World, admin: httpx.AsyncClient, form: dict[str, str], always_on: bool
) -> None:
    host_id = await world.enroll("box", always_on=not always_on)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": world.ui.url}
    content = str(httpx.QueryParams(form))
    answer = await admin.post(f"/hosts/{host_id}/mode", content=content, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/hosts/{host_id}")
    assert (await world.get(f"/hosts/{host_id}"))["always_on"] is always_on
    assert "host.mode_updated" in await actions(world, host_id)


async def test_mode_form_order_of_checks(world: World, admin: httpx.AsyncClient) -> None:
    host_id = await world.enroll("box")
    viewer = await log_in(world, "viewer")
    nobody = httpx.AsyncClient(base_url=world.ui.url)
    path, json = f"/hosts/{host_id}/mode", {"json": {"always_on": False}}

    async def status(client: httpx.AsyncClient, path: str = path, **sent: object) -> int:
        return (await client.post(path, **(sent or {"data": {"a": "b"}}))).status_code  # type: ignore[arg-type]

    unknown = "/hosts/01JUNKNOWN0000000000000000/mode"
    assert await status(nobody, unknown, headers=OTHER_SITES[0], **json) == 303
    assert await status(viewer, unknown, headers=OTHER_SITES[0], **json) == 403
    for headers in OTHER_SITES:
        assert await status(admin, unknown, headers=headers, **json) == 403
        assert await status(admin, path, headers=headers) == 403
    assert await status(admin, unknown, **json) == 404
    assert await status(admin, unknown) == 404
    assert await status(admin, path, **json) == 400
    assert await status(admin, path, content=b"") == 400
    assert await status(viewer) == 403
    assert (await world.get(f"/hosts/{host_id}"))["always_on"] is True
    assert "host.mode_updated" not in await actions(world, host_id)
    assert await status(admin) == 303
    for client in (viewer, nobody):
        await client.aclose()


async def test_login_and_logout(world: World, admin: httpx.AsyncClient) -> None:
    async with httpx.AsyncClient(base_url=world.ui.url) as client:
        sent = await client.get("/alerts?tab=history")
        assert sent.headers["location"] == "/login?next=%2Falerts%3Ftab%3Dhistory"
        wrong = await client.post("/login", data={"username": "admin", "password": "no"})
        assert wrong.status_code == 401
        assert "user name or password is wrong" in text_of(wrong.text)
        name = f"admin-{len(world.folder.name)}"
        for target in ("//evil.example", "https://evil.example", "/\\evil.example"):
            form = {"username": name, "password": PASSWORD, "next": target}
            answer = await client.post("/login", data=form)
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert (await client.get("/")).status_code == 200
        assert (await client.post("/logout", headers=OTHER_SITES[0])).status_code == 403
        assert (await client.post("/logout")).status_code == 303
        assert (await client.get("/")).status_code == 303


async def test_setup_makes_the_first_operator(world: World) -> None:
    code = world.ui.setup_code
    async with httpx.AsyncClient(base_url=world.ui.url) as client:
        form = {"code": "WRON-GGGG", "username": "ada", "password": PASSWORD}
        assert (await client.post("/setup", data=form)).status_code == 401
        answer = await client.post("/setup", data=form | {"code": code.lower()})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "ada" in text_of((await client.get("/")).text)
        again = form | {"code": code, "username": "bob"}
        assert (await client.post("/setup", data=again)).status_code == 401


async def test_from_nothing_to_a_requested_backup(world: World, admin: httpx.AsyncClient) -> None:
    host_id = await world.enroll("box", always_on=False)
    here = f"/hosts/{host_id}"
    group = {"name": "home", "includes": "/home\n/etc\n", "excludes": "*.tmp"}
    assert (await admin.post(f"{here}/source-groups", data=group)).status_code == 303
    groups = (await world.get(f"{here}/source-groups"))["items"]
    assert (groups[0]["includes"], groups[0]["excludes"]) == (["/home", "/etc"], ["*.tmp"])
    bad = await admin.post(f"{here}/schedules", data={"cron": "0 0 30 2 *", "name": "odd"})
    assert bad.status_code == 422
    assert 'value="0 0 30 2 *"' in bad.text
    good = {"cron": "0 2 * * *", "name": "daily", "group": groups[0]["id"], "catch_up": "on"}
    assert (await admin.post(f"{here}/schedules", data=good)).status_code == 303
    (schedule,) = (await world.get(f"{here}/schedules"))["items"]
    assert (schedule["cron"], schedule["enabled"]) == ("0 2 * * *", True)
    at = f"{here}/schedules/{schedule['id']}"
    assert (await admin.post(f"{at}/disable", data={"a": ""})).status_code == 303
    assert not (await world.get(f"{here}/schedules"))["items"][0]["enabled"]
    none = await admin.post(f"{here}/backup", data={"a": ""})
    assert "said=backup-none" in none.headers["location"]
    secret = {"url": "/srv/restic", "password": "hush-hush", "environment": "A=b"}
    assert (await admin.post(f"{here}/repository", data=secret)).status_code == 303
    wrong = await admin.post(f"{here}/repository", data=secret | {"environment": "hush"})
    assert wrong.status_code == 400
    for page in (wrong, await admin.get(here), await admin.get("/audit")):
        assert "hush" not in page.text
    asked = await admin.post(f"{here}/backup", data={"a": ""})
    assert "said=backup&n=0&m=1" in asked.headers["location"]
    assert "0 now, 1 when they wake" in text_of((await admin.get(asked.headers["location"])).text)
    assert (await world.get("/jobs", host_id=host_id))["items"][0]["status"] == "requested"
    assert (await admin.post(f"{at}/remove", data={"a": ""})).status_code == 303
    assert (await world.get(f"{here}/schedules"))["items"] == []


async def test_bulk(world: World, admin: httpx.AsyncClient) -> None:
    hosts = [await world.enroll(f"box-{number}") for number in range(3)]
    form = {"host": hosts[:2], "do": "intermittent"}
    answer = await admin.post("/hosts/bulk", data=form)
    assert answer.headers["location"] == "/?said=mode&n=2&k=0"
    modes = [(await world.get(f"/hosts/{one}"))["always_on"] for one in hosts]
    assert modes == [False, False, True]
    every = {"all": "1", "q": "mode:always-on", "do": "intermittent"}
    assert (await admin.post("/hosts/bulk", data=every)).status_code == 303
    assert not (await world.get(f"/hosts/{hosts[2]}"))["always_on"]
    assert (await admin.post("/hosts/bulk", data={"do": "explode"})).status_code == 400
    there = {"host": [hosts[0], "nowhere"], "do": "always_on"}
    answer = await admin.post("/hosts/bulk", data=there)
    assert answer.headers["location"] == "/?said=mode-some&n=1&k=1"


async def test_bulk_tags(world: World, admin: httpx.AsyncClient) -> None:
    """Each host keeps the tags that nobody spoke of."""
    both = [await world.enroll("a", tags=["paris", "web"]), await world.enroll("b", tags=["nas"])]

    async def tags() -> list[list[str]]:
        return [(await world.get(f"/hosts/{one}"))["tags"] for one in both]

    answer = await admin.post("/hosts/bulk", data={"host": both, "do": "tag", "tags": "web, old"})
    assert answer.headers["location"] == "/?said=tags&n=2&k=0"
    assert "Tags saved for 2." in text_of((await admin.get("/?said=tags&n=2&k=0")).text)
    assert await tags() == [["old", "paris", "web"], ["nas", "old", "web"]]
    await admin.post("/hosts/bulk", data={"host": both, "do": "untag", "tags": "web"})
    assert await tags() == [["old", "paris"], ["nas", "old"]]
    nothing = {"host": both, "do": "tag", "tags": " "}
    assert (await admin.post("/hosts/bulk", data=nothing)).status_code == 400


async def test_adding_a_host_shows_one_line_and_its_steps(
    world: World, admin: httpx.AsyncClient
) -> None:
    answer = await admin.post("/hosts/new", data={"name": "tp", "tags": "paris web"})
    assert answer.status_code == 200
    text = text_of(answer.text)
    assert "dormice agent enroll http://" in text
    assert "DORMICE_ENROLL_TOKEN=" in text
    assert "waiting for the agent…" in text
    assert "This address only works on this machine." in text
    assert (await admin.post("/hosts/new", data={"name": "no good!"})).status_code == 422
    windows = await admin.post("/hosts/new", data={"system": "Windows (PowerShell)"})
    line = r'\$env:DORMICE_ENROLL_TOKEN="[^"]+"; dormice agent enroll http://127'
    assert re.search(line, text_of(windows.text))
    odd = await admin.post("/hosts/new", data={"system": "{token.__class__}"})
    assert re.search(r"DORMICE_ENROLL_TOKEN=\S+ dormice agent enroll", text_of(odd.text))


async def test_the_way_in_for_other_hosts_names_the_port_in_use(tmp_path: Path) -> None:
    async with World(tmp_path, ("registry",), gateway_listen="127.0.0.1:9123") as world:
        admin = await log_in(world)
        text = text_of((await admin.post("/hosts/new", data={"name": "tp"})).text)
        await admin.aclose()
    assert "enroll http://127.0.0.1:9123" in text
    assert "DORMICE_GATEWAY_LISTEN=0.0.0.0:9123" in text


async def test_silences_are_made_and_ended(world: World, admin: httpx.AsyncClient) -> None:
    host_id = await world.enroll("web-3")
    assert "No silence" in text_of((await admin.get("/silences")).text)
    form = {"host": "WEB-3", "tag": "", "kind": "", "from": "", "to": "", "for": "3h",
            "reason": "new <disks>"}  # fmt: skip
    answer = await admin.post("/silences", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/silences?said=silenced")
    (made,) = (await world.get("/silences"))["items"]
    assert (made["host_id"], made["state"], made["reason"]) == (host_id, "active", "new <disks>")
    page = text_of((await admin.get("/silences?said=silenced")).text)
    assert "Silence saved." in page
    assert "activeweb-3" in page
    assert "new <disks>" in page
    for changed, said in (
        ({"for": ""}, "say until when"),
        ({"for": "3 h"}, "is not a duration"),
        ({"host": "nobody"}, "no host is called nobody"),
        ({"host": ""}, "say what to silence"),
        ({"host": "", "tag": "a,b"}, "must not contain a comma"),
        ({"for": "", "to": "2020-01-01T00:00"}, "must end after it begins"),
        ({"for": "", "from": "2030-01-02T00:00", "to": "2030-01-01T00:00"}, "end after it begins"),
        ({"for": "", "to": "tomorrow"}, "is no moment"),
        ({"kind": "noise"}, "no such kind"),
        ({"weekly": "often"}, "is no weekly time"),
        ({"for": "", "until_ended": "on"}, "only a weekly silence"),
    ):
        answer = await admin.post("/silences", data=form | changed)
        assert (answer.status_code, said in text_of(answer.text)) == (422, True), answer.text
        assert 'value="new &lt;disks&gt;"' in answer.text
    viewer = await log_in(world, "viewer")
    assert "Add a silence" not in (await viewer.get("/silences")).text
    assert (await viewer.post("/silences", data=form)).status_code == 403
    path = f"/silences/{made['id']}/end"
    assert (await viewer.post(path, data={"a": ""})).status_code == 403
    assert (await admin.post(path, data={"a": ""}, headers=OTHER_SITES[0])).status_code == 403
    assert (await admin.post(path, data={"a": ""})).headers["location"].endswith("said=unsilenced")
    assert (await admin.post(path, data={"a": ""})).status_code == 409
    assert (await admin.post("/silences/nope/end", data={"a": ""})).status_code == 404
    assert (await world.get("/silences", state="current"))["items"] == []
    await viewer.aclose()


async def test_pages_of_what_is_not_there(world: World, admin: httpx.AsyncClient) -> None:
    for path in ("/hosts/01JNOTHERE0000000000000000", "/jobs/nope", "/nowhere", "/hosts/..%2f"):
        answer = await admin.get(path)
        assert answer.status_code == 404, path
        assert "text/html" in answer.headers["content-type"]
    bad = await admin.get("/", params={"q": "state:wrong"})
    assert bad.status_code == 422
    assert "is none of online" in text_of(bad.text)
    assert (await admin.get("/", params={"cursor": "junk"})).status_code == 422
    assert (await admin.post("/alerts/nope!/resolve", data={"a": ""})).status_code == 404


async def test_thresholds_of_tags_and_modes_are_set_and_taken_away(
    world: World, admin: httpx.AsyncClient
) -> None:
    host_id = await world.enroll("web-3")
    await world.patch(f"/hosts/{host_id}", tags=["<paris>"])
    form = {"tag": "<paris>", "mode": "", "offline": "5m", "stale": ""}
    answer = await admin.post("/settings/thresholds", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings?said=thresholds")
    await admin.post("/settings/thresholds", data={"mode": "intermittent", "stale": "10d"})
    page = text_of((await admin.get("/settings?said=thresholds")).text)
    for said in ("Thresholds saved.", "tag <paris>5 min–", "intermittent hosts–10 days"):
        assert said in page
    await world.hello(host_id)
    await world.until_field(host_id, "display", "online")
    assert "(5 min, tag <paris> · change)" in text_of((await admin.get(f"/hosts/{host_id}")).text)
    for changed, said in (
        ({"offline": "1m"}, "at least 1m30s"),
        ({"offline": "5 min"}, "is not a duration"),
        ({"offline": "0s"}, "at least 1m30s"),
        ({"offline": "-5m"}, "is not a duration"),
        ({"offline": "", "stale": "3650d"}, "less than 10 years"),
        ({"offline": "", "stale": "0s"}, "at least 1s"),
        ({"offline": ""}, "which threshold"),
        ({"mode": "always_on"}, "of a tag, or of a mode"),
        ({"mode": "tired"}, "no such mode"),
        ({"tag": "a,b"}, "must not contain a comma"),
    ):
        answer = await admin.post("/settings/thresholds", data=form | changed)
        assert (answer.status_code, said in text_of(answer.text)) == (422, True), answer.text
    answer = await admin.post("/settings/thresholds/clear", data={"tag": "<paris>"})
    assert answer.status_code == 303
    again = await admin.post("/settings/thresholds/clear", data={"tag": "<paris>"})
    assert (again.status_code, "has no thresholds" in text_of(again.text)) == (422, True)
    scopes = [one["scope"] for one in (await world.get("/thresholds"))["items"]]
    assert scopes == ["fleet", "mode"]


async def test_a_weekly_silence_on_its_page(world: World, admin: httpx.AsyncClient) -> None:
    form = {"tag": "prod", "weekly": "sun 02:00-04:00", "timezone": "Europe/Berlin",
            "until_ended": "on"}  # fmt: skip
    assert (await admin.post("/silences", data=form)).status_code == 303
    page = text_of((await admin.get("/silences")).text)
    assert "weekly: sun 02:00–04:00 Europe/Berlin" in page
    assert "until it is ended" in page
