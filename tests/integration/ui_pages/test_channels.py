"""Channels on the pages: a form for every kind, whom it tells and when, what became of messages."""

from __future__ import annotations

import httpx
import pytest

from tests.integration.ui.world import World
from tests.integration.ui_pages.browser import log_in, text_of

SECRET = "canary-77aa"
FORMS: dict[str, dict[str, str]] = {
    "webhook": {"url": "http://hook.invalid/x", "secret": SECRET},
    "smtp": {"host": "mail.invalid", "port": "", "security": "tls", "username": "d",
             "password": SECRET, "sender": "d@x.example", "to": "a@x.example, b@x.example"},
    "ntfy": {"url": "https://ntfy.invalid", "topic": "backups", "token": SECRET},
    "alertmanager": {"url": "http://am.invalid:9093", "token": ""},
    "apprise": {"url": f"tgram://{SECRET}/x"},
}  # fmt: skip
WHERE = {
    "webhook": "http://hook.invalid/x",
    "smtp": "a@x.example, b@x.example by smtps://mail.invalid:465",
    "ntfy": "https://ntfy.invalid/backups",
    "alertmanager": "http://am.invalid:9093",
    "apprise": "tgram://",
}


async def add(admin: httpx.AsyncClient, kind: str) -> str:
    """Make one by its form; return its page's path."""
    form = {"channel": kind, "name": f"my {kind}", **FORMS[kind]}
    answer = await admin.post("/settings/channels", data=form)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].partition("?")[0]


@pytest.mark.parametrize("kind", sorted(FORMS))
async def test_every_kind_has_a_form_and_a_page(
    world: World, admin: httpx.AsyncClient, kind: str
) -> None:
    settings = (await admin.get("/settings")).text
    assert f'name="channel" value="{kind}"' in settings
    path = await add(admin, kind)
    shown = (await admin.get(path)).text
    assert WHERE[kind] in text_of(shown)
    assert WHERE[kind] in text_of((await admin.get("/settings")).text)
    assert SECRET not in shown
    assert ("Quiet from" in text_of(shown)) is (kind != "alertmanager")
    assert (await admin.post(path, data=_form(kind, name="other"))).status_code == 303
    (one,) = (await world.get("/channels"))["items"]
    assert (one["name"], one["where"]) == ("other", WHERE[kind])
    assert one["config"]["has_secret"] is (kind != "alertmanager")


def _form(kind: str, **more: str) -> dict[str, str]:
    """The page's form, saved without knowing the secret."""
    kept = {name: "" if value.endswith(SECRET) or SECRET in value else value
            for name, value in FORMS[kind].items()}  # fmt: skip
    return {**kept, **more}


async def test_whom_it_tells_and_when(world: World, admin: httpx.AsyncClient) -> None:
    host_id = await world.enroll("box")
    path = await add(admin, "webhook")
    form = _form(
        "webhook", name="night", tags="lab, prod", hosts="box", quiet_from="22:00",
        quiet_to="07:00", quiet_zone="Europe/Berlin", rate_messages="10", rate_minutes="15",
        **{"severity-critical": "on", "kind-check_failed": "on", "day-mon": "on", "day-fri": "on"},
    )  # fmt: skip
    assert (await admin.post(path, data=form)).status_code == 303
    (one,) = (await world.get("/channels"))["items"]
    assert one["filter"] == {
        "severities": ["critical"], "kinds": ["check_failed"], "tags": ["lab", "prod"],
        "host_ids": [host_id],
    }  # fmt: skip
    assert one["quiet_hours"] == {
        "from": "22:00", "to": "07:00", "timezone": "Europe/Berlin", "days": ["mon", "fri"],
        "breaks_through": [],
    }  # fmt: skip
    assert one["rate_limit"] == {"messages": 10, "minutes": 15}
    shown = (await admin.get(path)).text
    assert 'value="lab, prod"' in shown
    assert 'name="hosts" spellcheck="false" autocapitalize="none" value="box"' in shown
    assert 'name="day-fri" checked' in shown
    assert 'name="day-tue">' in shown
    assert "quiet 22:00–07:00" in text_of((await admin.get("/settings")).text)
    assert (await admin.post(path, data=_form("webhook", name="day"))).status_code == 303
    (one,) = (await world.get("/channels"))["items"]
    assert (one["filter"], one["quiet_hours"], one["rate_limit"]) == (None, None, None)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"hosts": "nobody"}, "no host is called nobody"),
        ({"quiet_from": "22:00"}, "quiet hours need both"),
        ({"quiet_from": "22:00", "quiet_to": "07:00", "quiet_zone": "Mars"}, "Europe/Berlin"),
        ({"rate_messages": "5"}, "a rate needs two numbers"),
        ({"rate_messages": "0", "rate_minutes": "5"}, "rate_limit"),
        ({"url": "nonsense"}, "config.url"),
        ({"name": ""}, "name"),
    ],
)
async def test_what_is_wrong_is_said_and_changes_nothing(
    world: World, admin: httpx.AsyncClient, wrong: dict[str, str], said: str
) -> None:
    path = await add(admin, "webhook")
    before = (await world.get("/channels"))["items"]
    answer = await admin.post(path, data=_form("webhook", name="my webhook") | wrong)
    assert answer.status_code == 422
    assert said in text_of(answer.text)
    assert (await world.get("/channels"))["items"] == before


async def test_a_test_and_its_outcome(world: World, admin: httpx.AsyncClient) -> None:
    path = await add(admin, "webhook")
    answer = await admin.post(f"{path}/test", data={"a": "b"})
    assert answer.headers["location"] == f"{path}?said=channel-tested"
    shown = text_of((await admin.get(answer.headers["location"])).text)
    assert "Test sent; the outcome appears below." in shown
    assert "test" in shown.partition("Messages")[2]
    assert (await admin.post(f"{path}/remove", data={"a": "b"})).status_code == 303
    assert (await admin.get(path)).status_code == 404


async def test_r20_who_may_only_look_sees_no_form(world: World, admin: httpx.AsyncClient) -> None:
    path = await add(admin, "ntfy")
    viewer = await log_in(world, "viewer")
    shown = (await viewer.get(path)).text
    assert "<form" not in shown.partition("<main")[2].partition("</main>")[0]
    assert "https://ntfy.invalid/…" in text_of(shown)
    assert "backups" not in shown
    for target in (path, f"{path}/test", f"{path}/remove", "/settings/channels"):
        assert (await viewer.post(target, data={"a": "b"})).status_code == 403
    assert (await viewer.get("/settings/channels/01ARZ3NDEKTSV4RRFFQ69G5FAV")).status_code == 404
    await viewer.aclose()
