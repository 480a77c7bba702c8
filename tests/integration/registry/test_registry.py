"""The registry on a real bus: calls, buckets, events, rights, restarts and a log that was wiped."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from libs.common.bus.base import PublishRefused
from libs.common.bus.nats import NatsBus
from libs.common.errors import RemoteError, StoreBroken
from libs.common.events.base import Event, decode
from libs.common.events.host import (
    SYSTEM,
    Actor,
    Audit,
    HostChanged,
    HostEnrolled,
    HostModeChanged,
    HostRecord,
)
from libs.common.rpc import call
from libs.common.security import hash_token
from libs.common.testing.nats import NatsServer
from services.registry.app import build
from services.registry.settings import RegistrySettings
from tests.integration.registry.process import LAPTOP, Caller, Registry


async def read_log(bus: NatsBus, until: int) -> dict[int, Event]:
    """Return the events of the log by sequence, up to `until`."""
    found: dict[int, Event] = {}
    reader = await bus.open_reader(1)
    async with asyncio.timeout(20):
        while until not in found:
            for message in await reader.read(timedelta(seconds=5)):
                envelope = decode(message.data)
                assert envelope is not None
                found[message.seq] = envelope.event
    await reader.close()
    return found


def files_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def record_in_bucket(caller: Caller, host_id: str) -> HostRecord:
    return HostRecord.model_validate_json((await caller.gateway.load_bucket("hosts"))[host_id])


async def test_r1_a_host_joins_and_its_flag_survives_a_restart(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with Caller(nats) as caller:
        async with Registry(nats, tmp_path):
            joined = await caller.enroll("Ada's Laptop")
            host_id = joined["host_id"]
            saved = await caller.ask("set_mode", host_id=host_id, always_on=False)
            assert saved.result["always_on"] is False
        async with Registry(nats, tmp_path):
            again = (await caller.ask("get_host", host_id=host_id)).result
            assert (again["name"], again["always_on"]) == ("ada-s-laptop", False)
            listed = (await caller.ask("list_hosts")).result
            assert [record["always_on"] for record in listed] == [False]
        assert (await record_in_bucket(caller, host_id)).always_on is False
        tokens = await caller.gateway.load_bucket("agent-tokens")
        assert json.loads(tokens[hash_token(joined["agent_token"])])["host_id"] == host_id
        events = await read_log(caller.gateway, saved.seq)
    facts = [type(event) for event in events.values() if not isinstance(event, Audit)]
    assert facts == [HostEnrolled, HostModeChanged]
    last = events[saved.seq]
    assert isinstance(last, Audit)
    assert last.action == "host.mode_updated"
    assert last.actor.name == "ada"


async def test_r20_roles_and_bus_users(nats: NatsServer, tmp_path: Path) -> None:
    viewer = Actor(kind="operator", id="op-2", name="vic", role="viewer")
    operator = Actor(kind="token", id="t-1", name="ci", role="operator")
    async with Registry(nats, tmp_path), Caller(nats) as caller:
        host_id = (await caller.enroll("web"))["host_id"]
        await caller.ask("get_host", viewer, host_id=host_id)
        with pytest.raises(RemoteError) as refused:
            await caller.ask("set_mode", viewer, host_id=host_id, always_on=False)
        assert refused.value.code == "forbidden"
        with pytest.raises(RemoteError) as refused:
            await caller.ask("rotate_token", operator, host_id=host_id)
        assert refused.value.code == "forbidden"
        with pytest.raises(PublishRefused):
            await caller.ask("secrets", host_ids=[host_id])
        other = nats.bus("presence")
        await other.connect()
        with pytest.raises(PublishRefused):
            await call(other, "registry", "secrets", {"host_ids": [host_id]}, actor=SYSTEM,
                       timeout=timedelta(seconds=1))  # fmt: skip
        await other.close()


async def test_errors_reach_their_sender_with_code_and_fields(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with Registry(nats, tmp_path), Caller(nats) as caller:
        host_id = (await caller.enroll("web"))["host_id"]
        with pytest.raises(RemoteError) as refused:
            await caller.enroll("web")
        assert (refused.value.code, refused.value.fields["free_name"]) == ("name_taken", "web-2")
        for verb, code, arguments in [
            ("get_host", "host_not_found", {"host_id": "nobody"}),
            ("patch_host", "bad_input", {"host_id": host_id, "name": "x" * 10_240}),
            ("patch_host", "bad_input", {"host_id": host_id, "tags": "paris"}),
            ("set_mode", "bad_input", {"host_id": host_id, "always_on": "no"}),
            ("create_schedule", "bad_cron",
             {"host_id": host_id, "cron": "not a cron", "source_group_ids": []}),
        ]:  # fmt: skip
            with pytest.raises(RemoteError) as refused:
                await caller.ask(verb, **arguments)
            assert refused.value.code == code, verb
        with pytest.raises(RemoteError) as refused:
            await caller.serve_agent("enroll", token="old", hostname="x", **LAPTOP)
        assert refused.value.code == "unauthorized"


async def test_a_repository_reaches_the_gateway_and_no_event(
    nats: NatsServer, tmp_path: Path
) -> None:
    settings = {"url": "/srv/nobody-knows", "password": "hush-hush", "environment": {"A": "b"}}
    async with Registry(nats, tmp_path), Caller(nats) as caller:
        host_id = (await caller.enroll("web"))["host_id"]
        saved = await caller.ask("set_repository", host_id=host_id, **settings)
        given = (await caller.serve_agent("secrets", host_ids=[host_id])).result
        assert given == {host_id: {"repository": settings, "agent_token": None}}
        events = await read_log(caller.gateway, saved.seq)
    assert HostChanged in {type(event) for event in events.values()}
    stored = files_in(tmp_path)
    assert host_id.encode() in stored  # The bus keeps its files there too.
    assert b"nobody-knows" not in stored
    assert b"hush-hush" not in stored


async def test_a_wiped_log_gets_its_buckets_again(nats: NatsServer, tmp_path: Path) -> None:
    async with Caller(nats) as caller, Registry(nats, tmp_path) as registry:
        joined = await caller.enroll("web")
        gone = (await caller.enroll("gone"))["host_id"]
        await caller.ask("remove_host", host_id=gone)
        nats.stop()
        nats.wipe()
        registry.connected.clear()
        nats.start()
        await nats.create_topology()
        await asyncio.wait_for(registry.connected.wait(), 30)
        await asyncio.gather(caller.gateway.wait_connected(), caller.ui.wait_connected())
        saved = await caller.ask("set_mode", host_id=joined["host_id"], always_on=False)
        assert saved.seq > 0
        hosts = await caller.gateway.load_bucket("hosts")
        assert set(hosts) == {joined["host_id"], gone}
        assert (await record_in_bucket(caller, gone)).removed
        tokens = await caller.gateway.load_bucket("agent-tokens")
        assert set(tokens) == {hash_token(joined["agent_token"])}
        assert len(registry.resets) == 1


async def test_a_file_without_its_key_is_refused(nats: NatsServer, tmp_path: Path) -> None:
    async with Registry(nats, tmp_path):
        pass
    key = tmp_path / "registry.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.unlink()
    with pytest.raises(StoreBroken, match=r"registry\.key is missing"):
        build(RegistrySettings(data=tmp_path), nats.bus("registry"))


async def test_a_directory_that_cannot_be_written_is_refused(
    nats: NatsServer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreBroken, match="cannot"):
        build(RegistrySettings(data=tmp_path / "file"), nats.bus("registry"))
