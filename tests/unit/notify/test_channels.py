"""The verbs on channels, and that no secret comes out anywhere (R20)."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from pydantic import ValidationError

from libs.common.errors import BadInput
from libs.common.events.alert import AlertKind
from libs.common.events.host import Actor, Audit, HostRecord
from libs.common.security import Vault
from libs.common.testing.rig import ADMIN, START
from services.notify.channels import verbs
from services.notify.errors import ChannelNotFound, UnknownKind
from services.notify.settings import NotifySettings
from tests.unit.notify.world import (
    BUSY,
    SECRET,
    URL,
    World,
    acknowledged,
    make_alert,
    outage,
    raised,
    resolved,
)

SECRETS = (SECRET, "word@", "pass%40word", "T0KEN")


@pytest.fixture
def world():
    return World()


def test_a_channel_is_shown_without_what_is_secret(world):
    channel = world.channel(filter={"tags": ["prod"], "kinds": ["fleet_outage"]})
    shown = world.ask("get_channel", id=channel)
    assert shown["config"] == {"url": "http://127.0.0.1:9/hook/T0KEN?x=1", "has_secret": True}
    assert shown["filter"] == {"tags": ["prod"], "kinds": ["fleet_outage"]}
    assert (shown["name"], shown["kind"], shown["pending"]) == ("ops", "webhook", 0)
    assert not shown["in_trouble"]
    assert world.ask("list_channels") == [shown]


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_r20_only_an_admin_sees_the_whole_address(world, role):
    channel = world.channel()
    reader = Actor(kind="token", id="t1", name="bob", role=role)
    shown = world.ask("get_channel", reader, id=channel)
    assert shown["config"] == {"url": "http://127.0.0.1:9/…", "has_secret": True}
    assert world.ask("list_channels", reader) == [shown]


def test_deliveries_are_read_on_from_one_of_them(world):
    channel, other = world.channel(), world.channel("other")
    ids = [world.ask("test_channel", id=channel)["delivery_id"] for _ in range(3)]
    world.ask("test_channel", id=other)

    def listed(**more):
        return [row["id"] for row in world.ask("deliveries", channel_id=channel, **more)]

    assert listed(limit=2) == [ids[2], ids[1]]
    assert listed(limit=2, before=ids[1]) == [ids[0]]
    assert listed(before=ids[0]) == []
    for unknown in ("nope", ids[0]):
        with pytest.raises(BadInput, match="before"):
            world.ask("deliveries", channel_id=other, before=unknown)


def test_r20_no_secret_is_in_file_event_effect_or_decision(world):
    channel = world.channel()
    world.ask("test_channel", id=channel)
    world.publish(*raised(make_alert()))
    world.answer({"status": 400})
    world.answer(BUSY)
    world.ask("patch_channel", id=channel, config={"secret": "another " + SECRET})
    world.ask("delete_channel", id=channel)
    everything = "".join(world.db.iterdump())
    everything += "".join(message.data.decode() for message in world.raw)
    everything += json.dumps([effect.payload for effect in world.handed_out])
    assert [secret for secret in SECRETS if secret in everything] == []


def test_every_change_is_audited_by_site_only(world):
    channel = world.channel()
    world.ask("patch_channel", id=channel, name="night", config={"secret": None})
    world.ask("test_channel", id=channel)
    world.ask("delete_channel", id=channel)
    audits = world.of(Audit)
    assert [audit.action for audit in audits] == [
        "channel.created", "channel.changed", "channel.tested", "channel.deleted",
    ]  # fmt: skip
    assert {(audit.service, audit.target, audit.actor) for audit in audits} == {
        ("notify", channel, ADMIN)
    }
    assert audits[1].before["site"] == "http://127.0.0.1:9"
    assert (audits[1].before["has_secret"], audits[1].after["has_secret"]) == (True, False)
    assert (audits[1].before["name"], audits[1].after["name"]) == ("ops", "night")
    assert audits[3].after == {"dropped": 1}


def test_r20_changing_and_testing_need_an_admin():
    roles = {name: verb.role for name, verb in verbs(Vault.generate(), ()).items()}
    assert roles == {
        "create_channel": "admin", "patch_channel": "admin", "delete_channel": "admin",
        "test_channel": "admin", "list_channels": "viewer", "get_channel": "viewer",
        "deliveries": "viewer",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["pigeon", "", "SMTP"])
def test_other_kinds_are_refused_with_the_list(world, kind):
    with pytest.raises(UnknownKind, match="webhook, smtp, ntfy, alertmanager, appr") as refusal:
        world.channel(kind=kind)
    assert refusal.value.code == "bad_input"


@pytest.mark.parametrize(
    "config",
    [
        {}, {"url": 5}, {"url": "nonsense " + SECRET}, {"url": URL, "token": SECRET},
        {"url": URL, "secret": ""}, {"url": URL, "secret": 5}, {"url": "http://10.0.0.1/" + SECRET},
        {"url": "http://[::ffff:169.254.169.254]/latest"},
    ],
)  # fmt: skip
def test_a_wrong_config_is_refused_without_repeating_it(world, config):
    with pytest.raises(BadInput, match=r"^config\.") as refusal:
        world.channel(config=config)
    assert SECRET not in refusal.value.message


def test_a_private_address_names_the_setting_that_allows_it():
    with pytest.raises(BadInput, match="DORMICE_ALLOW_TARGETS"):
        World(allow_targets=()).channel()


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "a\nb", "a\x00b"])
def test_a_wrong_name_is_refused(world, name):
    with pytest.raises(ValidationError):
        world.channel(name)


def test_a_patch_changes_what_it_names(world):
    channel = world.channel(filter={"tags": ["prod"]})
    shown = world.ask("patch_channel", id=channel, config={"url": "http://127.0.0.1:8/other"})
    assert shown["config"] == {"url": "http://127.0.0.1:8/other", "has_secret": True}
    assert (shown["name"], shown["filter"]) == ("ops", {"tags": ["prod"]})
    shown = world.ask("patch_channel", id=channel, config={"secret": None}, filter=None, name=" n ")
    assert (shown["config"]["has_secret"], shown["filter"], shown["name"]) == (False, None, "n")
    with pytest.raises(BadInput):
        world.ask("patch_channel", id=channel, config={"url": "http://10.0.0.1/"})


def test_a_mended_address_is_tried_at_once(world):
    channel = world.channel()
    world.publish(*raised(make_alert("a1"), make_alert("a2", "h2")))
    world.answer_all(BUSY)
    world.ask("patch_channel", id=channel, name="same address")
    assert world.handed_out == []
    world.ask("patch_channel", id=channel, config={"url": "http://127.0.0.1:8/"})
    assert world.in_flight == ["raised:a1", "raised:a2"]
    world.advance(timedelta(seconds=10))  # When the old wait would have ended.
    assert world.in_flight == ["raised:a1", "raised:a2"]
    assert world.answer_all() == ["raised:a1", "raised:a2"]
    world.advance(timedelta(days=2))
    assert world.handed_out == []


def test_a_test_takes_the_way_of_every_message(world):
    channel = world.channel(filter={"kinds": ["prune_failed"]})
    answer = world.ask("test_channel", id=channel)
    (effect,) = world.handed_out
    assert answer == {"delivery_id": effect.key}
    body = world.message(effect)
    assert (body["event"], body["alerts"], body["id"]) == ("test", [], effect.key)
    world.answer(BUSY)
    world.advance(timedelta(seconds=6))
    world.answer()
    (row,) = world.deliveries(channel)
    assert (row["event"], row["state"], row["tries"]) == ("test", "delivered", 2)
    assert world.ask("test_channel", id=channel) != answer


def test_a_deleted_channel_is_told_nothing_more(world):
    channel = world.channel()
    alert = make_alert()
    world.publish(*raised(alert))
    (effect,) = world.handed_out
    world.ask("delete_channel", id=channel)
    world.end_effect("notify", effect, status=200)  # A try that still ran.
    world.publish(resolved(alert), *raised(make_alert("a2")))
    world.advance(timedelta(days=1))
    assert world.handed_out == []
    for verb in ("get_channel", "patch_channel", "test_channel", "delete_channel"):
        with pytest.raises(ChannelNotFound):
            world.ask(verb, id=channel)
    with pytest.raises(ChannelNotFound):
        world.deliveries(channel)
    assert world.ask("list_channels") == []
    assert world.db.execute("SELECT sealed, filter FROM channel").fetchall() == [("", "{}")]


def test_with_another_key_a_channel_can_be_seen_and_mended(world):
    channel = world.channel()
    handlers = verbs(Vault.generate(), NotifySettings(allow_targets=()).allow_targets)
    world.cores["notify"].machine.verbs = handlers
    assert world.ask("get_channel", id=channel)["config"] is None
    with pytest.raises(BadInput, match=r"config\.url"):
        world.ask("patch_channel", id=channel, config={"secret": "new"})
    shown = world.ask("patch_channel", id=channel, config={"url": "https://example.org/"})
    assert shown["config"] == {"url": "https://example.org/", "has_secret": False}


def test_deliveries_are_listed_newest_first_and_limited(world):
    channel = world.channel()
    world.publish(*raised(*(make_alert(f"a{n}", f"h{n}") for n in range(5))))
    listed = world.ask("deliveries", channel_id=channel, limit=2)
    assert [row["alert_ids"] for row in listed] == [("a4",), ("a3",)]
    with pytest.raises(ValidationError):
        world.ask("deliveries", channel_id=channel, limit=0)


def test_the_first_start_takes_what_is_open_without_telling_it(world):
    load(world, alerts=[make_alert()], hosts=["h1"])
    channel = world.channel()
    world.publish(*raised(make_alert()))
    assert world.deliveries(channel) == []


def test_r18_after_a_wiped_log_what_was_missed_is_told(world):
    """Known alerts are not repeated; one that was raised meanwhile is told, once."""
    world.channel()
    known, held = make_alert("a1"), make_alert("a2", "h2", held_by="o1")
    world.publish(*raised(known, outage("o1"), held))
    world.answer_all()
    freed = held.model_copy(update={"held_by": None})
    taken = acknowledged(known).alert
    fresh = make_alert("a3", "h3", kind=AlertKind.CHECK_FAILED)
    load(world, alerts=[taken, freed, fresh, outage("o1")], hosts=["h1"])
    assert sorted(world.answer_all()) == ["acknowledged:a1", "raised:a2", "raised:a3"]
    world.publish(*raised(known, freed, fresh))
    load(world, alerts=[taken, freed, fresh], hosts=["h1"])
    assert world.handed_out == []


def load(world, *, alerts, hosts):
    records = [HostRecord(id=host, name=host, enrolled_at=START) for host in hosts]
    buckets = {
        "alerts": {alert.id: alert.model_dump_json().encode() for alert in alerts},
        "hosts": {record.id: record.model_dump_json().encode() for record in records},
    }
    world.input("notify", lambda tx: world.cores["notify"].machine.load(tx, buckets))
