"""What presence needs to know at its start."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import field_validator

from libs.common.settings import DormiceSettings, Duration

GATEWAY_GRACE = timedelta(seconds=30)


class PresenceSettings(DormiceSettings):
    """`data` is the state directory; a session lives `offline_after` without a frame."""

    data: Path = Path("dormice-data")
    offline_after: Duration = timedelta(seconds=90)

    @field_validator("offline_after")
    @classmethod
    def _is_positive(cls, value: timedelta) -> timedelta:
        if value <= timedelta():
            raise ValueError("must be more than 0s")
        return value

    @property
    def database_path(self) -> Path:
        return self.data / "presence.db"

    @property
    def lost_after(self) -> timedelta:
        """How long a gateway may be without a beat, or stopped, before it counts as lost."""
        return self.offline_after + GATEWAY_GRACE

    @property
    def last_seen_step(self) -> timedelta:
        """How much newer a `last_seen` must be to be worth a write: 5 s by default.

        Together with the 5 s between beats it is exact to 10 s.
        """
        return self.offline_after / 18

    @property
    def put_every(self) -> timedelta:
        """How often the bucket hears when a running session was last seen: 10 min by default."""
        return self.offline_after * 20 / 3

    @property
    def put_step(self) -> timedelta:
        """Puts of different hosts are this far apart, or made together: 10 s by default."""
        return self.put_every / 60
