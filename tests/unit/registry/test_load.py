"""The own file is the truth; the buckets and the log only fill in what an older file lacks."""

from __future__ import annotations

from libs.common.events.host import SYSTEM, HostModeChanged, HostRecord
from libs.common.loop.step import Position
from libs.common.security import hash_token
from libs.common.testing.rig import ADMIN, Rig
from tests.unit.registry.rigging import LAPTOP, enroll, enrolled, hello, make_rig, new_token


def restart(rig: Rig, buckets: dict[str, dict[str, bytes]], *, again: bool) -> None:
    """Begin on another log, with what the bus has in its buckets; then send what is to be sent."""
    core = rig.cores["registry"]
    core.start_at(Position("two", 0, ""), buckets, rig.now, again=again)
    rig.restart("registry")


def test_after_the_log_was_wiped_the_buckets_are_put_again() -> None:
    rig = make_rig()
    host_id, token = enroll(rig).values()
    gone = enrolled(rig, hostname="gone")
    rig.ask("remove_host", host_id=gone)
    before = {name: dict(values) for name, values in rig.buckets.items()}
    rig.buckets.clear()
    restart(rig, {}, again=True)
    assert rig.buckets == before
    assert HostRecord.model_validate_json(rig.buckets["hosts"][gone]).removed
    found = rig.ask("find_tokens", SYSTEM, token_hashes=[hash_token(token)])
    assert found[hash_token(token)]["host_id"] == host_id


def test_r1_an_older_bucket_undoes_nothing() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    old = {name: dict(values) for name, values in rig.buckets.items()}
    rig.ask("set_mode", host_id=host_id, always_on=False)
    removed = enrolled(rig, hostname="gone")
    ghost = {**old["hosts"], removed: rig.buckets["hosts"][removed]}
    rig.ask("remove_host", host_id=removed)
    restart(rig, {**old, "hosts": ghost}, again=True)
    assert rig.ask("get_host", host_id=host_id).always_on is False
    assert [record.id for record in rig.ask("list_hosts")] == [host_id]
    assert HostRecord.model_validate_json(rig.buckets["hosts"][removed]).removed


def test_a_new_file_takes_up_hosts_and_tokens_from_the_buckets() -> None:
    rig = make_rig()
    host_id, token = enroll(rig).values()
    rig.ask("set_mode", host_id=host_id, always_on=False)
    gone = enrolled(rig, hostname="gone")
    rig.ask("remove_host", host_id=gone)
    fresh = make_rig(seed=2)
    restart(fresh, rig.buckets, again=False)
    assert fresh.ask("get_host", host_id=host_id) == rig.ask("get_host", host_id=host_id)
    assert [record.id for record in fresh.ask("list_hosts")] == [host_id]
    found = fresh.ask("find_tokens", SYSTEM, token_hashes=[hash_token(token)])
    assert found == {hash_token(token): {"host_id": host_id, "token_version": 1}}
    assert "record_taken_up" in fresh.decisions("registry", host_id)


def test_unreadable_bucket_values_do_not_stop_the_start() -> None:
    rig = make_rig()
    buckets = {"hosts": {"h1": b"{}", "h2": b"\xff"}, "agent-tokens": {"ab": b"null"}}
    restart(rig, buckets, again=False)
    assert rig.ask("list_hosts") == []
    assert "bucket_value_unreadable" in rig.decisions("registry", "h1")


def test_the_log_fills_in_what_an_older_file_lacks() -> None:
    """A file put back from yesterday reads its own later words and stays the single truth."""
    rig = make_rig()
    host_id = enrolled(rig)
    rig.ask("set_mode", host_id=host_id, always_on=False)
    rig.ask("patch_host", host_id=host_id, tags=["x"])
    restored = make_rig(seed=2)
    restored.publish(*rig.log)
    assert restored.ask("get_host", host_id=host_id) == rig.ask("get_host", host_id=host_id)
    assert not restored.buckets


def test_own_words_that_come_again_change_nothing() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    rig.ask("set_mode", host_id=host_id, always_on=False)
    told = rig.of(HostModeChanged)
    rig.ask("set_mode", host_id=host_id, always_on=True)
    mark = len(rig.log)
    rig.redeliver(told)
    assert rig.ask("get_host", host_id=host_id).always_on is True
    assert len(rig.log) == mark + 1


def test_a_removal_in_the_log_ends_tokens_here_too() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    other = make_rig(seed=2)
    other.publish(*rig.log)
    other.ask("rotate_token", host_id=host_id)
    rig.ask("patch_host", host_id=host_id, tags=["x"])
    rig.ask("remove_host", host_id=host_id)
    other.publish(*rig.log)
    assert other.ask("list_hosts") == []
    assert other.db.execute("SELECT count(*) FROM agent_token").fetchone() == (0,)


def test_r20_an_ended_token_in_an_old_bucket_is_not_revived() -> None:
    rig = make_rig()
    host_id, old = enroll(rig).values()
    stale = {name: dict(values) for name, values in rig.buckets.items()}
    rig.ask("rotate_token", host_id=host_id)
    rig.publish(hello(host_id, "s1", token_version=2))
    restart(rig, stale, again=True)
    assert rig.ask("find_tokens", SYSTEM, token_hashes=[hash_token(old)]) == {}


def test_the_bucket_is_put_before_the_event_of_the_same_fact() -> None:
    """The outbox is first in, first out: who acts on the event finds no older state."""
    rig = make_rig()
    host_id = enrolled(rig)
    core = rig.cores["registry"]
    verb = core.machine.verbs["set_mode"]
    wanted = verb.arguments.model_validate({"host_id": host_id, "always_on": False})
    step = core.step(inputs=[lambda tx: verb.handler(tx, ADMIN, wanted)], now=rig.now)
    order = [row.message.bucket or row.message.subject.rpartition(".")[2] for row in step.outbox]
    assert order == ["hosts", "mode_changed", host_id]


def test_a_token_is_in_its_bucket_before_its_host_is_told() -> None:
    rig = make_rig()
    token = new_token(rig)
    core = rig.cores["registry"]
    verb = core.machine.verbs["enroll"]
    wanted = verb.arguments.model_validate({"token": token, **LAPTOP})
    step = core.step(inputs=[lambda tx: verb.handler(tx, SYSTEM, wanted)], now=rig.now)
    order = [row.message.bucket or row.message.subject.split(".")[1] for row in step.outbox]
    assert order == ["agent-tokens", "hosts", "host", "audit"]
