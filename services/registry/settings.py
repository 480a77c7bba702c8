"""What the registry needs to know at its start."""

from __future__ import annotations

from pathlib import Path

from libs.common.settings import DormiceSettings


class RegistrySettings(DormiceSettings):
    """`data` is the state directory; the registry's file and key lie in it."""

    data: Path = Path("dormice-data")

    @property
    def database_path(self) -> Path:
        return self.data / "registry.db"

    @property
    def key_path(self) -> Path:
        """Where the key lies that seals repository passwords and undelivered tokens."""
        return self.data / "registry.key"
