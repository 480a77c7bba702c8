"""What the registry needs to know at its start."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from libs.common.settings import DormiceSettings, Duration


class RegistrySettings(DormiceSettings):
    """`data` is the state directory; the registry's file and key lie in it.

    A host goes offline `offline_after` its last frame: no threshold of silence may be shorter.
    """

    data: Path = Path("dormice-data")
    offline_after: Duration = timedelta(seconds=90)

    @property
    def database_path(self) -> Path:
        return self.data / "registry.db"

    @property
    def key_path(self) -> Path:
        """Where the key lies that seals repository passwords and undelivered tokens."""
        return self.data / "registry.key"
