"""Operators and API tokens on the page Settings, and what the doors say to whom."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.integration.ui.world import World
from tests.integration.ui_pages.browser import PASSWORD, log_in, text_of

NEW_PASSWORD = "another " + PASSWORD


async def operator_of(world: World, name: str) -> dict:
    (found,) = [one for one in (await world.get("/operators"))["items"] if one["name"] == name]
    return found


async def row_of(admin: httpx.AsyncClient, name: str) -> str:
    """Return the row of an operator or token as it is read; nothing if there is none."""
    page = (await admin.get("/settings")).text
    rows = [row for row in re.findall(r"<tr>.*?</tr>", page, re.S) if f">{name}<" in row]
    return text_of(" ".join(rows).replace("</td>", "</td> "))


async def test_an_operator_s_life(world: World, admin: httpx.AsyncClient) -> None:
    form = {"username": "Ada", "role": "operator", "password": PASSWORD}
    answer = await admin.post("/settings/operators", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings?said=operator")
    row = await row_of(admin, "ada")
    assert "just now never" in row
    here = f"/settings/operators/{(await operator_of(world, 'ada'))['id']}"
    async with httpx.AsyncClient(base_url=world.ui.url) as ada:
        login = {"username": "ada", "password": PASSWORD}
        assert (await ada.post("/login", data=login)).status_code == 303
        assert "just now just now" in await row_of(admin, "ada")
        assert (await admin.post(f"{here}/role", data={"role": "viewer"})).status_code == 303
        assert (await operator_of(world, "ada"))["role"] == "viewer"
        assert (await ada.get("/hosts/new")).status_code == 403
        answer = await admin.post(f"{here}/password", data={"password": NEW_PASSWORD})
        assert answer.headers["location"] == "/settings?said=operator-password"
        assert (await ada.get("/")).status_code == 303
        assert (await ada.post("/login", data=login)).status_code == 401
        login["password"] = NEW_PASSWORD
        assert (await ada.post("/login", data=login)).status_code == 303
        assert (await ada.get("/")).status_code == 200
        assert (await admin.post(f"{here}/remove", data={"a": "b"})).status_code == 303
        assert (await ada.get("/")).status_code == 303
    assert await row_of(admin, "ada") == ""
    again = await admin.post(f"{here}/remove", data={"a": "b"})
    assert again.status_code == 404
    assert "No operator has this id" in text_of(again.text)


@pytest.mark.parametrize(("what", "form"), [("role", {"role": "viewer"}), ("remove", {"a": "b"})])
async def test_the_page_keeps_the_last_admin(
    world: World, admin: httpx.AsyncClient, what: str, form: dict[str, str]
) -> None:
    (me,) = (await world.get("/operators"))["items"]
    answer = await admin.post(f"/settings/operators/{me['id']}/{what}", data=form)
    assert answer.status_code == 409
    assert "This is the last admin who can log in; make another one first." in text_of(answer.text)
    assert (await world.get("/operators"))["items"] == [me]
    assert (await admin.get("/settings")).status_code == 200


@pytest.mark.parametrize(
    ("path", "form", "said"),
    [
        ("role", {"role": "root"}, "a role is one of viewer, operator, admin"),
        ("role", {"a": "b"}, "a role is one of"),
        ("password", {"password": "short"}, "a password has 8 to 256 characters"),
    ],
)
async def test_what_does_not_fit_is_said_and_ends_no_session(
    world: World, admin: httpx.AsyncClient, path: str, form: dict[str, str], said: str
) -> None:
    (me,) = (await world.get("/operators"))["items"]
    answer = await admin.post(f"/settings/operators/{me['id']}/{path}", data=form)
    assert answer.status_code == 422
    assert said in text_of(answer.text)
    assert (await world.get("/operators"))["items"] == [me]
    assert (await admin.get("/settings")).status_code == 200


async def test_a_new_password_of_one_s_own_leads_to_the_login(
    world: World, admin: httpx.AsyncClient
) -> None:
    (me,) = (await world.get("/operators"))["items"]
    path = f"/settings/operators/{me['id']}/password"
    answer = await admin.post(path, data={"password": NEW_PASSWORD})
    answer = await admin.get(answer.headers["location"])
    assert answer.headers["location"].startswith("/login?next=")
    login = {"username": me["name"], "password": NEW_PASSWORD}
    assert (await admin.post("/login", data=login)).status_code == 303


async def test_a_token_is_shown_exactly_once_and_can_be_removed(
    world: World, admin: httpx.AsyncClient
) -> None:
    form = {"name": "uptime <monitor>", "role": "viewer", "expires": "90d"}
    answer = await admin.post("/settings/tokens", data=form)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    (secret,) = re.findall(r'<code id="new-token"[^>]*>([^<]+)</code>', answer.text)
    assert answer.text.count(secret) == 1
    assert 'data-copies="new-token"' in answer.text
    assert "It is not shown again." in text_of(answer.text)
    (kept,) = [one for one in (await world.get("/api-tokens"))["items"] if one["id"] != "admin"]
    assert (kept["name"], kept["role"]) == (form["name"], "viewer")
    assert kept["created_by"].startswith("admin-")
    row = await row_of(admin, "uptime &lt;monitor&gt;")
    assert f"by {kept['created_by']}" in row
    assert f"{kept['expires_at'][:10]}" in row
    async with world.client(secret) as api:
        assert (await api.get("/fleet/health")).status_code == 200
        assert (await api.post("/enrollment-tokens", json={})).status_code == 403
        assert (await row_of(admin, "uptime &lt;monitor&gt;")).count("just now") == 2
        for path in ("/settings", "/settings/tokens", "/audit"):
            assert secret not in (await admin.get(path, follow_redirects=True)).text
        path = f"/settings/tokens/{kept['id']}/remove"
        answer = await admin.post(path, data={"a": "b"})
        assert answer.headers["location"] == "/settings?said=token-removed"
        assert (await api.get("/fleet/health")).status_code == 401
    assert (await admin.post(path, data={"a": "b"})).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": " "}, "an API token's name must have 1 to 64 characters"),
        ({"name": "x" * 65}, "an API token's name must have 1 to 64 characters"),
        ({"role": "root"}, "a role is one of"),
        ({"expires": "soon"}, "is not a duration"),
        ({"expires": "0s"}, "at least 1 second"),
    ],
)
async def test_no_token_comes_of_what_does_not_fit(
    world: World, admin: httpx.AsyncClient, wrong: dict[str, str], said: str
) -> None:
    form = {"name": "ci", "role": "viewer", "expires": ""} | wrong
    answer = await admin.post("/settings/tokens", data=form)
    assert answer.status_code == 422
    assert said in text_of(answer.text)
    assert "new-token" not in answer.text
    assert [one["id"] for one in (await world.get("/api-tokens"))["items"]] == ["admin"]


async def test_the_settings_own_token_stays(world: World, admin: httpx.AsyncClient) -> None:
    assert "set where Dormice starts" in await row_of(admin, "first admin")
    assert "Remove" not in await row_of(admin, "first admin")
    answer = await admin.post("/settings/tokens/admin/remove", data={"a": "b"})
    assert answer.status_code == 409
    assert "change DORMICE_ADMIN_TOKEN" in text_of(answer.text)
    await admin.post("/settings/tokens", data={"name": "ci", "role": "viewer", "expires": ""})
    assert "never never" in await row_of(admin, "ci")


async def test_r20_only_admins_see_and_change_who_may_come_in(
    world: World, admin: httpx.AsyncClient
) -> None:
    mine, other = await operator_of(world, f"admin-{len(world.folder.name)}"), {"a": "b"}
    for role in ("viewer", "operator"):
        client = await log_in(world, role)
        shown = (await client.get("/settings")).text
        assert "Channels" in shown
        for hidden in ("Operators", "API tokens", "first admin", f">{mine['name']}<"):
            assert hidden not in shown
        for path in (
            "operators", f"operators/{mine['id']}/role", f"operators/{mine['id']}/password",
            f"operators/{mine['id']}/remove", "tokens", "tokens/admin/remove",
        ):  # fmt: skip
            assert (await client.post(f"/settings/{path}", data=other)).status_code == 403, path
        await client.aclose()
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    for path in (f"operators/{mine['id']}/remove", "tokens", "tokens/admin/remove"):
        answer = await admin.post(f"/settings/{path}", data=other, headers=elsewhere)
        assert answer.status_code == 403, path
    assert (await world.get("/fleet"))["total"] == 0


async def test_the_doors_promise_to_be_the_first_admin_only_to_the_first(world: World) -> None:
    async with httpx.AsyncClient(base_url=world.ui.url) as client:
        assert "First time here?" in text_of((await client.get("/login")).text)
        assert "you become the first admin" in text_of((await client.get("/setup")).text)
        form = {"code": world.ui.setup_code, "username": "ada", "password": PASSWORD}
        assert (await client.post("/setup", data=form)).status_code == 303
        await client.post("/logout")
        login, setup = [text_of((await client.get(path)).text) for path in ("/login", "/setup")]
        wrong = text_of((await client.post("/setup", data=form | {"username": "bob"})).text)
        assert "First time here?" not in login
        assert "An admin helps. I have a setup code" in login
        for said in (setup, wrong):
            assert "first" not in said
            assert "There is an admin already. With a setup code you become one more." in said
            assert "An admin makes one, good once for 30 minutes: dormice setup-code" in said
        code = (await world.post("/setup-code"))["code"]
        form = {"code": code, "username": "bob", "password": PASSWORD}
        assert (await client.post("/setup", data=form)).status_code == 303
    assert (await operator_of(world, "bob"))["role"] == "admin"
