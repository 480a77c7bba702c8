"""Local cron: what is due at a look, and how long to the next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.schedule import due_fires, find_problem, next_fire_time, next_look
from libs.common.clock import TICK
from libs.common.protocol import Config, ScheduleConfig, SourceGroupConfig

TWO = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SLICE = timedelta(seconds=15)


def config(cron: str = "0 2 * * *", **changed: object) -> Config:
    schedule = {"id": "s", "name": "nightly", "cron": cron, "source_group_ids": ["a", "b"]}
    return Config(
        version=1,
        schedules=[ScheduleConfig.model_validate({**schedule, **changed})],
        source_groups=[
            SourceGroupConfig(id="a", name="a", includes=["/a"]),
            SourceGroupConfig(id="b", name="b", includes=["/b"]),
        ],
    )


@pytest.mark.parametrize(
    ("looked_until", "now", "count"),
    [
        pytest.param(TWO - SLICE, TWO, 2, id="exactly at the fire: one for each group"),
        pytest.param(TWO - SLICE, TWO - TICK, 0, id="one tick early"),
        pytest.param(TWO, TWO + SLICE, 0, id="looked at already"),
        pytest.param(TWO - SLICE, TWO + MINUTE, 2, id="exactly 60 s late"),
        pytest.param(TWO - SLICE, TWO + MINUTE + TICK, 0, id="over 60 s late: it slept"),
        pytest.param(TWO - timedelta(days=9), TWO + MINUTE, 2, id="many missed: the last only"),
        pytest.param(TWO, TWO - MINUTE, 0, id="clock set back"),
    ],
)
def test_due_fires(looked_until: datetime, now: datetime, count: int) -> None:
    fires = due_fires(config(), looked_until=looked_until, now=now, tolerance=MINUTE)
    assert [(fire.source_group_id, fire.fire_time) for fire in fires] == [
        ("a", TWO),
        ("b", TWO),
    ][:count]


@pytest.mark.parametrize(
    "changed",
    [
        {"enabled": False},
        {"source_group_ids": []},
        {"source_group_ids": ["gone"]},
        {"timezone": "Not/There"},
        {"cron": "not a cron"},
        {"cron": "0 0 30 2 *"},
    ],
)
def test_what_never_fires(changed: dict[str, object]) -> None:
    found = config(**changed)  # type: ignore[arg-type]
    assert due_fires(found, looked_until=TWO - SLICE, now=TWO, tolerance=MINUTE) == []
    assert next_fire_time(found, TWO) is None


def test_a_group_named_twice_fires_once() -> None:
    found = config(source_group_ids=["a", "a"])
    assert len(due_fires(found, looked_until=TWO - SLICE, now=TWO, tolerance=MINUTE)) == 1


def test_zones() -> None:
    at_home = config().model_copy(update={"timezone": "Europe/Berlin"})
    assert next_fire_time(at_home, TWO) == datetime(2026, 6, 16, 0, 0, tzinfo=UTC)
    fixed = config(timezone="America/New_York").model_copy(update={"timezone": "Europe/Berlin"})
    assert next_fire_time(fixed, TWO) == datetime(2026, 6, 15, 6, 0, tzinfo=UTC)


def test_problems_are_named() -> None:
    assert find_problem(config()) is None
    assert "nightly" in (find_problem(config("0 0 30 2 *")) or "")
    assert "time zone" in (find_problem(config(timezone="Not/There")) or "")


@pytest.mark.parametrize(
    ("fire_time", "due_at", "expected"),
    [
        pytest.param(None, None, SLICE, id="nothing to come: a slice"),
        pytest.param(TWO + timedelta(hours=1), None, SLICE, id="far away: a slice"),
        pytest.param(TWO + 3 * TICK, None, 3 * TICK, id="the fire itself, exactly"),
        pytest.param(TWO + SLICE, TWO + TICK, TICK, id="the nearer of both"),
        pytest.param(None, TWO - MINUTE, timedelta(), id="overdue: at once"),
    ],
)
def test_slices(fire_time: datetime | None, due_at: datetime | None, expected: timedelta) -> None:
    assert next_look(TWO, fire_time=fire_time, due_at=due_at, slice_=SLICE) == expected
