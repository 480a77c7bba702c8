"""What an operator can set of the catch-up."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field

from libs.common.settings import DormiceSettings, Duration


class CatchupSettings(DormiceSettings):
    """DORMICE_CATCHUP_SETTLE, DORMICE_CATCHUP_MAX_FLEET, DORMICE_CATCHUP_MAX_REPOSITORY,
    DORMICE_DATA. A cap of 0 pauses all catch-up."""

    data: Path = Path("dormice-data")
    catchup_settle: Duration = timedelta(seconds=60)
    catchup_max_fleet: Annotated[int, Field(ge=0)] = 20
    catchup_max_repository: Annotated[int, Field(ge=0)] = 4

    @property
    def database_path(self) -> Path:
        return self.data / "catchup.db"
