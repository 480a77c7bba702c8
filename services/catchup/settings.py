"""What an operator can set of the catch-up."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from libs.common.settings import DormiceSettings, Duration
from services.catchup.policy_conditions import Conditions, parse_hours


class CatchupSettings(DormiceSettings):
    """DORMICE_CATCHUP_*, DORMICE_STALE_AFTER, DORMICE_DATA.

    A cap of 0 pauses all catch-up. `min_battery`, `on_metered` and `not_during` put single ones
    off, and are off by default. `retry` and its cap: after which pause a repository that could not
    be reached is tried again."""

    data: Path = Path("dormice-data")
    catchup_settle: Duration = timedelta(seconds=60)
    catchup_max_fleet: Annotated[int, Field(ge=0)] = 20
    catchup_max_repository: Annotated[int, Field(ge=0)] = 4
    catchup_min_battery: Annotated[float, Field(ge=0, le=100)] = 0
    catchup_on_metered: bool = True
    catchup_not_during: str = ""
    catchup_retry: Annotated[Duration, Field(gt=timedelta())] = timedelta(minutes=1)
    catchup_retry_cap: Annotated[Duration, Field(gt=timedelta())] = timedelta(minutes=30)
    stale_after: Duration = timedelta(days=7)

    @field_validator("catchup_not_during")
    @classmethod
    def _check_hours(cls, text: str) -> str:
        parse_hours(text)
        return text

    @property
    def conditions(self) -> Conditions:
        hours = parse_hours(self.catchup_not_during)
        return Conditions(self.catchup_min_battery, self.catchup_on_metered, hours)

    @property
    def database_path(self) -> Path:
        return self.data / "catchup.db"
