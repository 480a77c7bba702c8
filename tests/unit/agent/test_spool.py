"""The spool: numbers, acknowledgements, limits, and what survives a crash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import StateUnusable
from agent.spool import RESULT_BYTES, Spool, shrink_result
from agent.store import AgentStore
from libs.common.frames import decode_agent_frame
from libs.common.protocol import JobFinished, JobStarted, RunStatus, ScheduleFired, SpooledFrame

NOW = datetime(2026, 6, 15, tzinfo=UTC)
BIG = 16 * 1024 * 1024


def fired() -> ScheduleFired:
    return ScheduleFired(seq=0, schedule_id="s", source_group_id="g", fire_time=NOW)


def started() -> JobStarted:
    return JobStarted(seq=0, job_id="j", at=NOW)


def finished(**changed: Any) -> JobFinished:
    return JobFinished(seq=0, job_id="j", at=NOW, status=RunStatus.SUCCEEDED, **changed)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AgentStore]:
    store = AgentStore(tmp_path / "agent.db")
    yield store
    store.close()


def types(spool: Spool) -> list[str]:
    return [json.loads(report.body)["type"] for report in spool.unsent(0, in_flight=10_000)]


def test_reports_are_numbered_and_acknowledged_cumulatively(store: AgentStore) -> None:
    spool = Spool(store, limit_bytes=BIG)
    assert [spool.append(frame) for frame in (fired(), started(), finished())] == [1, 2, 3]
    assert [json.loads(report.body)["seq"] for report in spool.unsent(0, in_flight=9)] == [1, 2, 3]
    spool.acknowledge(2)
    assert [report.seq for report in spool.unsent(0, in_flight=9)] == [3]
    spool.acknowledge(1)  # Late, and no news.
    assert spool.state().last_seq == 3
    spool.acknowledge(3)
    assert (spool.count(), spool.state().last_seq) == (0, 0)  # Nothing that could come.
    assert spool.append(fired()) == 4


def test_an_acknowledgement_from_the_future_is_believed_no_further(store: AgentStore) -> None:
    spool = Spool(store, limit_bytes=BIG)
    spool.append(fired())
    spool.acknowledge(10**9)
    assert spool.append(fired()) == 2
    assert [report.seq for report in spool.unsent(0, in_flight=9)] == [2]


def test_the_window_counts_what_is_unacknowledged(store: AgentStore) -> None:
    spool = Spool(store, limit_bytes=BIG)
    for _ in range(10):
        spool.append(started())
    assert [report.seq for report in spool.unsent(0, in_flight=4)] == [1, 2, 3, 4]
    assert spool.unsent(4, in_flight=4) == []
    spool.acknowledge(3)
    assert [report.seq for report in spool.unsent(4, in_flight=4)] == [5, 6, 7]


def test_id_numbers_and_reports_survive_a_restart(tmp_path: Path) -> None:
    first = AgentStore(tmp_path / "agent.db")
    spool = Spool(first, limit_bytes=BIG)
    spool.append(fired())
    spool.append(started())
    spool.acknowledge(1)
    name = spool.id
    first.close()
    second = AgentStore(tmp_path / "agent.db")
    again = Spool(second, limit_bytes=BIG)
    assert again.id == name
    assert again.append(finished()) == 3
    assert types(again) == ["job_started", "job_finished"]
    second.close()
    third = AgentStore(tmp_path / "other.db")
    assert Spool(third, limit_bytes=BIG).id != name
    third.close()


def test_a_crash_between_two_writes_leaves_neither(store: AgentStore) -> None:
    spool = Spool(store, limit_bytes=BIG)

    class Crash(Exception):
        pass

    def crash_amid() -> None:
        with store.transaction():
            spool.append(started())
            spool.append(finished())
            raise Crash

    with pytest.raises(Crash):
        crash_amid()
    assert spool.count() == 0
    assert spool.append(fired()) == 1


def test_r18_what_was_written_survives_a_power_cut(store: AgentStore) -> None:
    """As SQLite promises it: a log ahead, synced at every commit (2 is FULL)."""
    assert [tuple(row) for row in store.rows("PRAGMA synchronous")] == [(2,)]
    assert [tuple(row) for row in store.rows("PRAGMA journal_mode")] == [("wal",)]


def test_a_disk_that_refuses_is_said_so(store: AgentStore) -> None:
    """Outside a transaction, too: whoever writes hears one kind of error."""
    store.rows("PRAGMA query_only = ON")
    spool = Spool(store, limit_bytes=BIG)
    for write in (lambda: store.put_meta("a", "b"), lambda: spool.append(fired())):
        with pytest.raises(StateUnusable, match=r"agent\.db"):
            write()
    store.rows("PRAGMA query_only = OFF")
    assert spool.append(fired()) == 1


def test_log_tails_go_first(store: AgentStore) -> None:
    spool = Spool(store, limit_bytes=20_000)
    spool.append(fired())
    spool.append(started())
    spool.append(finished(log_tail="x" * 15_000))
    assert spool.size() > 15_000
    spool.append(finished(log_tail="y" * 15_000))
    bodies = [json.loads(report.body) for report in spool.unsent(0, in_flight=9)]
    assert [body["type"] for body in bodies] == [
        "schedule_fired", "job_started", "job_finished", "job_finished",
    ]  # fmt: skip
    assert "log_tail" not in bodies[2]  # The older tail is enough.
    assert "log_tail" in bodies[3]


def test_then_starts_then_older_fires_and_results_never(store: AgentStore) -> None:
    spool = Spool(store, limit_bytes=4096)
    for _ in range(8):
        spool.append(fired())
        spool.append(started())
    for number in range(40):
        before = types(spool)
        spool.append(finished(error="e" * 100))
        after = types(spool)
        assert after.count("job_finished") == number + 1
        if after.count("job_started") > 0:
            assert after.count("schedule_fired") == before.count("schedule_fired")
    assert types(spool).count("job_started") == 0
    assert types(spool).count("schedule_fired") == 1
    assert spool.is_full()
    last = spool.unsent(0, in_flight=10_000)[-1].seq
    assert spool.state().last_seq == last


def test_last_seq_is_one_that_will_be_sent(store: AgentStore) -> None:
    """A dropped report never comes; a gateway that waited for its number would wait for ever."""
    spool = Spool(store, limit_bytes=4096)
    while not spool.is_full():
        spool.append(finished(error="e" * 100))
    size = spool.size()
    while spool.size() + 200 < 4096:
        spool.append(finished())
    given = [spool.append(started()) for _ in range(20)]
    assert spool.size() <= 4096 + 200 or size
    assert spool.state().last_seq <= given[-1]
    assert spool.state().last_seq == spool.unsent(0, in_flight=10_000)[-1].seq


@pytest.mark.parametrize("error", ["e" * 4096, "ü" * 4096, '"' * 4096, "\\" * 4096, "\x01" * 4096])
def test_a_shrunk_result_is_small_and_still_a_frame(error: str) -> None:
    frame = finished(
        error=error, log_tail="x" * 1000, stats={"s" * 500: 1},
        schedule_id="s" * 36, source_group_id="g" * 36, fire_time=NOW, attempt=3,
    )  # fmt: skip
    body = shrink_result(frame.model_dump_json(exclude_none=True))
    assert len(body.encode()) <= RESULT_BYTES
    decoded = decode_agent_frame(body)
    assert isinstance(decoded, JobFinished)
    assert decoded.status is RunStatus.SUCCEEDED
    assert decoded.attempt == 3


FRAMES: st.SearchStrategy[SpooledFrame | int] = st.one_of(
    st.builds(fired),
    st.builds(started),
    st.integers(0, 3000).map(lambda size: finished(log_tail="x" * size)),
    st.integers(0, 80),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(FRAMES, max_size=60))
def test_no_result_is_ever_lost(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    store = AgentStore(tmp_path_factory.mktemp("spool") / "agent.db")
    spool = Spool(store, limit_bytes=8192)
    results: list[int] = []
    acknowledged = 0
    for step in steps:
        if isinstance(step, int):
            spool.acknowledge(step)
            acknowledged = max(acknowledged, min(step, int(store.find_meta("last_seq") or 0)))
        else:
            seq = spool.append(step)
            results += [seq] if isinstance(step, JobFinished) else []
        held = [report.seq for report in spool.unsent(0, in_flight=10_000)]
        assert held == sorted(held)
        assert {seq for seq in results if seq > acknowledged} <= set(held)
        waiting = sum(1 for seq in results if seq > acknowledged)
        assert spool.size() <= max(8192, waiting * RESULT_BYTES + 2 * RESULT_BYTES)
    store.close()
