"""Who may come in (R20): roles, tokens, operators, sessions, the first admin."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from libs.common.clock import SystemClock, VirtualClock
from libs.common.errors import Conflict, TooManyTries, Unauthorized
from libs.common.security import hash_token
from services.ui import access, store_access
from services.ui.auth import read_or_make_token
from tests.integration.ui.world import World

PASSWORD = "correct horse battery"
CHANGES = [
    ("operator", "POST", "/enrollment-tokens", {}),
    ("operator", "PATCH", "/hosts/{host}", {"tags": []}),
    ("operator", "PUT", "/hosts/{host}/mode", {"always_on": True}),
    ("operator", "POST", "/hosts/{host}/source-groups", {"name": "a", "includes": ["/a"]}),
    ("operator", "POST", "/hosts/{host}/schedules", {"cron": "@daily", "source_group_ids": []}),
    ("operator", "PUT", "/hosts/{host}/repository", {"url": "/r", "password": "p"}),
    ("operator", "POST", "/hosts/{host}/backup", {"source_group_id": "x"}),
    ("operator", "POST", "/alerts/x/acknowledge", {}),
    ("operator", "POST", "/alerts/x/resolve", {}),
    ("operator", "POST", "/silences", {"kind": "agent_offline", "for": "1h"}),
    ("operator", "DELETE", "/silences/x", None),
    ("operator", "POST", "/jobs/x/cancel", {}),
    ("admin", "DELETE", "/hosts/{host}", None),
    ("admin", "POST", "/hosts/{host}/rotate-token", {}),
    ("admin", "POST", "/channels", {"name": "a", "kind": "webhook", "config": {}}),
    ("admin", "PATCH", "/channels/x", {}),
    ("admin", "DELETE", "/channels/x", None),
    ("admin", "POST", "/channels/x/test", {}),
    ("admin", "GET", "/operators", None),
    ("admin", "POST", "/operators", {"name": "eve", "password": PASSWORD, "role": "admin"}),
    ("admin", "GET", "/api-tokens", None),
    ("admin", "POST", "/api-tokens", {"name": "eve", "role": "admin"}),
    ("admin", "POST", "/setup-code", {}),
]
READS = (
    "/hosts", "/hosts/{host}", "/hosts/{host}/timeline", "/hosts/{host}/decisions",
    "/hosts/{host}/schedules", "/hosts/{host}/source-groups", "/alerts", "/jobs", "/channels",
    "/silences",    "/audit", "/fleet", "/fleet/health",
)  # fmt: skip


async def test_r20_each_role_reaches_only_what_it_may(world: World) -> None:
    host = await world.enroll("web-1")
    ranks = ("viewer", "operator", "admin")
    tokens = {role: await world.token_of(role) for role in ranks}
    for role in ranks[:2]:
        async with world.client(tokens[role]) as api:
            for path in READS:
                assert (await api.get(path.format(host=host))).status_code == 200, path
            for needed, method, path, body in CHANGES:
                answer = await api.request(method, path.format(host=host), json=body)
                refused = ranks.index(role) < ranks.index(needed)
                assert (answer.status_code == 403) is refused, (role, method, path, answer.text)


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer nope", "Basic YTpi", "bearer x y"])
async def test_r20_nobody_comes_in_without_a_token(world: World, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    async with httpx.AsyncClient(base_url=f"{world.ui.url}/api/v1", headers=headers) as api:
        answers = [await api.request(method, path, json=body) for _, method, path, body in CHANGES]
        answers += [await api.get(path) for path in READS]
        for answer in answers:
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["code"] == "unauthorized"
        assert (await api.get("/openapi.json")).status_code == 200


async def test_api_tokens(world: World) -> None:
    made = await world.post("/api-tokens", name="ci", role="operator", expires_in="30d")
    secret = made.pop("token")
    assert (made["role"], made["created_by"], made["last_used_at"]) == (
        "operator", "first admin", None,
    )  # fmt: skip
    assert secret not in (await world.api.get("/api-tokens")).text
    async with world.client(secret) as api:
        assert (await api.get("/fleet")).status_code == 200
        used = await world.get(f"/api-tokens/{made['id']}")
        assert used["last_used_at"] is not None
        assert (await world.patch(f"/api-tokens/{made['id']}", role="viewer"))["role"] == "viewer"
        assert (await api.post("/enrollment-tokens", json={})).status_code == 403
        assert (await world.api.delete(f"/api-tokens/{made['id']}")).status_code == 204
        assert (await api.get("/fleet")).status_code == 401
    actions = [entry["action"] for entry in (await world.get("/audit"))["items"]]
    assert actions[:3] == ["api_token.deleted", "api_token.changed", "api_token.created"]
    assert (await world.api.get("/api-tokens/nope")).status_code == 404


async def test_an_expired_api_token_no_longer_works(tmp_path: Path) -> None:
    clock = VirtualClock(SystemClock().now())
    async with World(tmp_path, owners=(), clock=clock) as world:
        secret = (await world.post("/api-tokens", name="ci", expires_in=60))["token"]
        async with world.client(secret) as api:
            clock.advance(timedelta(seconds=60))
            assert (await api.get("/fleet")).status_code == 200
            clock.advance(timedelta(microseconds=1))
            assert (await api.get("/fleet")).status_code == 401


async def test_operators_log_in_and_out(world: World) -> None:
    auth = world.ui.site.auth
    made = await world.post("/operators", name="Ada", password=PASSWORD, role="operator")
    assert (made["name"], made["role"], made["last_login_at"]) == ("ada", "operator", None)
    login = await auth.log_in("ada", PASSWORD, "1.2.3.4")
    actor = await auth.find_actor_of_session(login.token)
    assert (actor.kind, actor.name, actor.role) == ("operator", "ada", "operator")
    await auth.log_out(login.token)
    assert await auth.find_actor_of_session(login.token) is None
    login = await auth.log_in("ada", PASSWORD, "1.2.3.4")
    await world.patch(f"/operators/{made['id']}", disabled=True)
    assert await auth.find_actor_of_session(login.token) is None
    with pytest.raises(Unauthorized):
        await auth.log_in("ada", PASSWORD, "1.2.3.4")
    shown = (await world.api.get("/operators")).text + (await world.api.get("/audit")).text
    assert PASSWORD not in shown
    assert "argon2" not in shown


async def test_a_new_password_ends_the_sessions(world: World) -> None:
    auth = world.ui.site.auth
    made = await world.post("/operators", name="ada", password=PASSWORD)
    login = await auth.log_in("ada", PASSWORD, "1.2.3.4")
    await world.patch(f"/operators/{made['id']}", password="another " + PASSWORD)
    assert await auth.find_actor_of_session(login.token) is None
    with pytest.raises(Unauthorized):
        await auth.log_in("ada", PASSWORD, "1.2.3.4")
    assert await auth.log_in("ADA ", "another " + PASSWORD, "1.2.3.4")


async def test_a_password_changed_during_a_login_lets_nobody_in(world: World) -> None:
    """The login has checked the old password, and begins its session after the change."""
    auth = world.ui.site.auth
    made = await world.post("/operators", name="ada", password=PASSWORD)
    known = await world.ui.site.read(lambda db: store_access.find_credentials(db, "ada"))
    await world.patch(f"/operators/{made['id']}", password="another " + PASSWORD)
    with pytest.raises(Unauthorized):
        await auth.submit(lambda tx: access.open_session(tx, known, hash_token("cookie")))
    assert await auth.find_actor_of_session("cookie") is None


async def test_who_is_removed_is_out_at_once(world: World) -> None:
    auth = world.ui.site.auth
    made = await world.post("/operators", name="ada", password=PASSWORD)
    login = await auth.log_in("ada", PASSWORD, "1.2.3.4")
    assert (await world.api.delete(f"/operators/{made['id']}")).status_code == 204
    assert await auth.find_actor_of_session(login.token) is None
    with pytest.raises(Unauthorized):
        await auth.log_in("ada", PASSWORD, "1.2.3.4")
    again = await world.post("/operators", name="ada", password=PASSWORD)
    assert again["id"] != made["id"]
    assert await auth.find_actor_of_session(login.token) is None
    assert (await world.api.delete(f"/operators/{made['id']}")).status_code == 404


async def test_a_new_role_holds_at_once_in_the_sessions_that_go_on(world: World) -> None:
    auth = world.ui.site.auth
    made = await world.post("/operators", name="ada", password=PASSWORD, role="operator")
    login = await auth.log_in("ada", PASSWORD, "1.2.3.4")
    await world.patch(f"/operators/{made['id']}", role="viewer")
    assert (await auth.find_actor_of_session(login.token)).role == "viewer"


async def test_ten_failed_tries_a_minute_then_wait(tmp_path: Path) -> None:
    clock = VirtualClock(SystemClock().now())
    async with World(tmp_path, owners=(), clock=clock, admin_password=PASSWORD) as world:
        auth = world.ui.site.auth
        for _ in range(10):
            with pytest.raises(Unauthorized):
                await auth.log_in("admin", "wrong", "1.2.3.4")
        with pytest.raises(TooManyTries):
            await auth.log_in("admin", PASSWORD, "1.2.3.4")
        assert await auth.log_in("admin", PASSWORD, "5.6.7.8")
        clock.advance(timedelta(minutes=1))
        assert await auth.log_in("admin", PASSWORD, "1.2.3.4")


async def test_the_last_admin_stays(world: World) -> None:
    made = await world.post("/operators", name="ada", password=PASSWORD, role="admin")
    path = f"/operators/{made['id']}"
    for answer in (
        await world.api.delete(path),
        await world.api.patch(path, json={"role": "viewer"}),
        await world.api.patch(path, json={"disabled": True}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert answer.json()["detail"] == (
            "This is the last admin who can log in; make another one first."
        )
    assert (await world.get(path)) == made
    await world.post("/operators", name="bob", password=PASSWORD, role="admin")
    assert (await world.api.delete(path)).status_code == 204


@pytest.mark.parametrize("body", [
    {"name": "ada", "password": "short"}, {"name": "a b", "password": PASSWORD}, {"name": "ada"},
    {"name": "", "password": PASSWORD}, {"name": "ada", "password": "x" * 300},
    {"name": "ada", "password": PASSWORD, "role": "root"},
    {"name": "x" * 9000, "password": PASSWORD},
    {"name": "ada", "password": PASSWORD, "disabled": "no"}, {"name": "ада", "password": PASSWORD},
])  # fmt: skip
async def test_bad_operators_are_refused(world: World, body: dict[str, str]) -> None:
    answer = await world.api.post("/operators", json=body)
    assert answer.status_code == 422
    assert PASSWORD not in answer.text


async def test_a_name_is_taken_once(world: World) -> None:
    await world.post("/operators", name="ada", password=PASSWORD)
    answer = await world.api.post("/operators", json={"name": "ada", "password": PASSWORD})
    assert answer.status_code == 409


# --- The first admin ------------------------------------------------------------------------------


async def test_the_generated_token_is_private_and_stays(tmp_path: Path) -> None:
    async with World(tmp_path, owners=()) as world:
        path = tmp_path / "admin-token"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        before = world.admin_token()
        await world.stop("ui")
        await world.start("ui")
        assert world.admin_token() == before
        assert (await world.get("/fleet"))["total"] == 0


def test_r18_a_token_file_that_a_kill_left_half_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "admin-token.new").write_text("hal")
    path = tmp_path / "admin-token"
    token = read_or_make_token(path)
    assert len(token) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert read_or_make_token(path) == token


async def test_a_given_token_works_and_replaces_the_earlier_one(tmp_path: Path) -> None:
    async with World(tmp_path, owners=(), admin_token="first-token") as world:
        assert not (tmp_path / "admin-token").exists()
        assert (await world.get("/fleet"))["total"] == 0
        await world.stop("ui")
        world.settings["admin_token"] = "second-token"
        await world.start("ui")
        assert (await world.get("/fleet"))["total"] == 0
        async with world.client("first-token") as api:
            assert (await api.get("/fleet")).status_code == 401


async def test_the_settings_password_is_that_of_operator_admin(tmp_path: Path) -> None:
    async with World(tmp_path, owners=(), admin_password=PASSWORD) as world:
        assert world.ui.setup_code is None
        login = await world.ui.site.auth.log_in("admin", PASSWORD, "1.2.3.4")
        assert login.operator.role == "admin"
        await world.stop("ui")
        world.settings["admin_password"] = PASSWORD + "2"
        await world.start("ui")
        assert await world.ui.site.auth.log_in("admin", PASSWORD + "2", "1.2.3.4")
        with pytest.raises(Unauthorized):
            await world.ui.site.auth.log_in("admin", PASSWORD, "1.2.3.4")


async def test_a_setup_code_works_once_for_30_minutes(tmp_path: Path) -> None:
    clock = VirtualClock(SystemClock().now())
    async with World(tmp_path, owners=(), clock=clock) as world:
        auth, code = world.ui.site.auth, world.ui.setup_code
        assert len(code) == 9
        assert code[4] == "-"
        with pytest.raises(Unauthorized):
            await auth.redeem_setup_code("AAAA-AAAA", "ada", PASSWORD, "1.2.3.4")
        clock.advance(timedelta(minutes=30))
        with pytest.raises(Unauthorized):
            await auth.redeem_setup_code(code, "ada", PASSWORD, "1.2.3.4")
        code = (await world.post("/setup-code"))["code"]
        login = await auth.redeem_setup_code(code.lower().replace("-", " "), "ada", PASSWORD, "::1")
        assert (await auth.find_actor_of_session(login.token)).role == "admin"
        with pytest.raises(Unauthorized):
            await auth.redeem_setup_code(code, "bob", PASSWORD, "1.2.3.4")
        await world.stop("ui")
        await world.start("ui")
        assert world.ui.setup_code is None


async def test_a_taken_name_does_not_use_the_code_up(world: World) -> None:
    auth, code = world.ui.site.auth, world.ui.setup_code
    await world.post("/operators", name="ada", password=PASSWORD)
    with pytest.raises(Conflict):
        await auth.redeem_setup_code(code, "ada", PASSWORD, "1.2.3.4")
    assert await auth.redeem_setup_code(code, "bob", PASSWORD, "1.2.3.4")


async def test_r20_the_token_of_the_settings_cannot_be_deleted_until_the_next_start(
    world: World,
) -> None:
    refused = await world.api.delete("/api-tokens/admin")
    assert refused.status_code == 409
    assert "DORMICE_ADMIN_TOKEN" in refused.json()["detail"]
    assert (await world.api.get("/api-tokens")).status_code == 200
