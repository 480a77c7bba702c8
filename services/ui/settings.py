"""What the ui needs to know at its start."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from libs.common.addresses import Listen
from libs.common.settings import DormiceSettings, Duration
from services.ui.views import FleetDefaults


class UiSettings(DormiceSettings):
    """`data` is the state directory; the two thresholds are what it shows as the fleet's."""

    data: Path = Path("dormice-data")
    ui_listen: Listen = "127.0.0.1:8480"
    gateway_listen: Listen = "127.0.0.1:8481"  # Where agents dial: shown when a host is added.
    admin_token: SecretStr | None = None
    admin_password: SecretStr | None = None
    agent_offline_floor: Duration = timedelta(minutes=15)
    stale_after: Duration = timedelta(days=7)

    @property
    def database_path(self) -> Path:
        return self.data / "ui.db"

    @property
    def admin_token_path(self) -> Path:
        """Where the first admin's API token lies if it was generated; mode 0600."""
        return self.data / "admin-token"

    @property
    def fleet(self) -> FleetDefaults:
        """The fleet's thresholds."""
        return FleetDefaults(self.agent_offline_floor, self.stale_after)
