"""R15: the ids of runs and of their attempts are the same wherever they are computed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from libs.common.runs import job_id, run_id

RUN = "b7d41223-53cb-577f-b2ff-48109c8612ec"
"""uuid5(NAMESPACE_OID, "dormice:run:h1:s1:g1:2026-11-23T02:00Z"), computed elsewhere."""
FIRE = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "fire",
    [
        pytest.param(FIRE, id="to the minute"),
        pytest.param(FIRE + timedelta(seconds=59, microseconds=999_999), id="seconds do not count"),
        pytest.param(FIRE.astimezone(timezone(timedelta(hours=-7))), id="another zone"),
    ],
)
def test_r15_the_id_of_a_run(fire: datetime) -> None:
    assert run_id("h1", "s1", "g1", fire) == RUN


def test_r15_another_minute_host_schedule_or_group_is_another_run() -> None:
    others = {
        run_id("h1", "s1", "g1", FIRE - timedelta(microseconds=1)),
        run_id("h2", "s1", "g1", FIRE),
        run_id("h1", "s2", "g1", FIRE),
        run_id("h1", "s1", "g2", FIRE),
    }
    assert len(others - {RUN}) == 4


def test_r15_the_ids_of_its_attempts() -> None:
    assert job_id(RUN, 1) == "6c1983f6-ff00-5436-984f-a665bab7f67e"
    assert job_id(RUN, 2) == "79b484b3-e776-535f-bd64-79c030bd6939"
