"""Every kind of channel: which configurations it takes, what of them is shown, what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from libs.common.errors import BadInput
from libs.common.events.host import Actor, Audit
from libs.common.testing.rig import ADMIN
from services.notify.configs import read_config
from services.notify.kinds.table import KINDS
from tests.unit.notify.world import BUSY, World, make_alert, raised

SECRET = "s3cr3t-xyz"
VIEWER = Actor(kind="token", id="t1", name="bob", role="viewer")
MAIL = {"host": "mail.example", "sender": "dormice@x.example", "to": ["ops@x.example"]}
CONFIGS: dict[str, dict[str, Any]] = {
    "webhook": {"url": f"https://u:{SECRET}@hook.example/x", "secret": SECRET},
    "smtp": {**MAIL, "username": "dormice", "password": SECRET},
    "ntfy": {"url": f"https://u:{SECRET}@ntfy.example", "topic": "backups", "token": SECRET},
    "alertmanager": {"url": "https://am.example:9093", "token": SECRET, "labels": {"team": "ops"}},
    "apprise": {"url": f"tgram://{SECRET}/{SECRET}"},
}
WHERE = {
    "webhook": ("https://hook.example/x", "https://hook.example/…"),
    "smtp": ("ops@x.example by smtp://mail.example:587", "smtp://mail.example:587/…"),
    "ntfy": ("https://ntfy.example/backups", "https://ntfy.example/…"),
    "alertmanager": ("https://am.example:9093", "https://am.example:9093/…"),
    "apprise": ("tgram://", "tgram:/…"),
}


@pytest.fixture
def world() -> World:
    return World()


def test_every_kind_is_tried_here() -> None:
    assert set(KINDS) == set(CONFIGS) == set(WHERE)


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_r20_a_kind_shows_where_it_leads_and_never_its_secret(world: World, kind: str) -> None:
    channel = world.channel(kind=kind, config=CONFIGS[kind])
    world.ask("patch_channel", id=channel, name="other")
    shown, seen = (world.ask("get_channel", actor, id=channel) for actor in (ADMIN, VIEWER))
    assert (shown["where"], seen["where"]) == WHERE[kind]
    assert shown["config"]["has_secret"]
    assert seen["config"]["has_secret"]
    assert set(seen["config"]) <= {"url", "has_secret"}
    everything = json.dumps([shown, seen], default=str) + "".join(world.db.iterdump())
    everything += "".join(audit.model_dump_json() for audit in world.of(Audit))
    assert SECRET not in everything


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_every_kind_takes_the_queue_s_way(world: World, kind: str) -> None:
    channel = world.channel(kind=kind, config=CONFIGS[kind])
    world.publish(*raised(make_alert()))
    assert world.answer({"taken": True}) == "raised:a1"
    assert world.states(channel) == ["raised delivered"]
    world.ask("test_channel", id=channel)
    world.answer(BUSY)
    world.advance(timedelta(seconds=6))
    assert world.answer({"error": "SMTP 550", "refused": True}) == "test"
    assert world.states(channel)[-1] == "test failed"


def test_what_a_part_of_the_receivers_refused_is_shown_though_it_went_out(world: World) -> None:
    channel = world.channel(kind="smtp", config=CONFIGS["smtp"])
    world.publish(*raised(make_alert()))
    world.answer({"taken": True, "error": "1 of 3 recipients were refused"})
    (row,) = world.deliveries(channel)
    assert (row["state"], row["error"]) == ("delivered", "1 of 3 recipients were refused")
    assert world.ask("get_channel", id=channel)["last_error"] == "1 of 3 recipients were refused"


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        ("smtp", {"host": ""}, "host"), ("smtp", {"host": "a b"}, "host"),
        ("smtp", {"host": "10.0.0.1"}, "host"), ("smtp", {"port": 0}, "port"),
        ("smtp", {"port": 65536}, "port"), ("smtp", {"port": "25"}, "port"),
        ("smtp", {"security": "ssl3"}, "security"), ("smtp", {"security": "none"}, "without TLS"),
        ("smtp", {"password": None}, "go together"), ("smtp", {"to": []}, "to"),
        ("smtp", {"to": ["a@b.example\nBcc: evil@x.example"]}, "to"), ("smtp", {"to": "a,b"}, "to"),
        ("smtp", {"sender": "Dormice"}, "sender"), ("smtp", {"to": ["a@x.example"] * 51}, "to"),
        ("ntfy", {"topic": "a/b"}, "topic"), ("ntfy", {"topic": ""}, "topic"),
        ("ntfy", {"url": "ftp://x"}, "url"), ("ntfy", {"token": "a b"}, "token"),
        ("ntfy", {"url": "http://169.254.169.254"}, "url"),
        ("alertmanager", {"url": "nonsense"}, "url"),
        ("alertmanager", {"url": "http://192.168.1.1:9093"}, "url"),
        ("alertmanager", {"labels": {"0a": "x"}}, "labels"),
        ("alertmanager", {"labels": {"severity": "x"}}, "labels"),
        ("alertmanager", {"labels": {"a": ""}}, "labels"),
        ("alertmanager", {"labels": {"a": 5}}, "labels"),
        ("apprise", {"url": "nonsense"}, "url"), ("apprise", {"url": "a://b c"}, "url"),
        ("apprise", {"url": 5}, "url"), ("apprise", {"tag": "x"}, "tag"),
    ],
)  # fmt: skip
def test_a_wrong_config_is_one_clear_error_without_the_secret(
    world: World, kind: str, change: dict[str, Any], field: str
) -> None:
    given = {**CONFIGS[kind], **change}
    with pytest.raises(BadInput, match=r"^config") as refusal:
        world.channel(kind=kind, config={k: v for k, v in given.items() if v is not None})
    assert field in refusal.value.message
    assert SECRET not in refusal.value.message


def test_a_port_follows_from_the_encryption_until_one_is_given() -> None:
    ports = [read_config("smtp", {**MAIL, "security": kind}).site.rpartition(":")[2]
             for kind in ("starttls", "tls", "none")]  # fmt: skip
    assert ports == ["587", "465", "25"]
    assert read_config("smtp", {**MAIL, "port": 2525}).site.endswith(":2525")
    assert read_config("smtp", {**MAIL, "to": "a@x.example, b@x.example"}).where.startswith(
        "a@x.example, b@x.example by smtp://mail.example"
    )


def test_a_patch_keeps_the_secret_and_null_takes_a_field_away(world: World) -> None:
    channel = world.channel(kind="smtp", config={**CONFIGS["smtp"], "port": 2525})
    shown = world.ask("patch_channel", id=channel, config={"host": "other.example", "port": None})
    assert shown["where"] == "ops@x.example by smtp://other.example:587"
    assert shown["config"]["has_secret"]
    assert shown["config"]["to"] == ["ops@x.example"]
    with pytest.raises(BadInput, match="go together"):
        world.ask("patch_channel", id=channel, config={"username": None})
