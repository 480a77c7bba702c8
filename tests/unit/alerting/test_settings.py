"""Thresholds are refused at the start if they make no sense."""

from __future__ import annotations

import pytest

from libs.common.errors import SettingsError
from services.alerting.settings import AlertingSettings


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"agent_offline_floor": "89s"}, "DORMICE_AGENT_OFFLINE_FLOOR", id="below"),
        pytest.param({"offline_after": "16m"}, "DORMICE_AGENT_OFFLINE_FLOOR", id="raised above"),
        pytest.param({"stale_after": "0s"}, "DORMICE_STALE_AFTER", id="nothing is fresh"),
        pytest.param({"stale_after": "soon"}, "DORMICE_STALE_AFTER", id="not a duration"),
    ],
)
def test_refused(given, said) -> None:
    with pytest.raises(SettingsError) as error:
        AlertingSettings.load(**given)
    assert said in error.value.message
    assert "\n" not in error.value.message


def test_a_floor_of_exactly_offline_after_is_allowed() -> None:
    assert AlertingSettings.load(agent_offline_floor="90s").agent_offline_floor.seconds == 90
