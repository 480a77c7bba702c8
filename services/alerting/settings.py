"""What alerting needs to know at its start."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import ValidationInfo, field_validator

from libs.common.durations import render_duration
from libs.common.settings import DormiceSettings, Duration


class AlertingSettings(DormiceSettings):
    """`data` is the state directory; the others are the fleet's thresholds.

    A host goes offline `offline_after` its last frame; an always-on host that is silent for
    `agent_offline_floor` raises `agent_offline`; an intermittent one without a backup for
    `stale_after` raises `stale_schedule`.
    """

    data: Path = Path("dormice-data")
    offline_after: Duration = timedelta(seconds=90)
    agent_offline_floor: Duration = timedelta(minutes=15)
    stale_after: Duration = timedelta(days=7)

    @field_validator("agent_offline_floor")
    @classmethod
    def _not_below_offline_after(cls, floor: timedelta, info: ValidationInfo) -> timedelta:
        offline_after = info.data.get("offline_after")
        if offline_after is not None and floor < offline_after:
            raise ValueError(
                f"{render_duration(floor)} is below DORMICE_OFFLINE_AFTER "
                f"({render_duration(offline_after)}): a host is offline before it can be missed"
            )
        return floor

    @field_validator("stale_after")
    @classmethod
    def _positive(cls, threshold: timedelta) -> timedelta:
        if threshold <= timedelta():
            raise ValueError("must be longer than 0s")
        return threshold

    @property
    def database_path(self) -> Path:
        return self.data / "alerting.db"
