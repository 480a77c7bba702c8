"""A small disk that can be filled. Mounting takes root."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SIZE_MIB = 32


class SmallDisk:
    """A tmpfs mounted on `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def mount(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        options = f"size={SIZE_MIB}m"
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", str(self.folder)], check=True
        )

    def unmount(self, *, keep: bool) -> None:
        """With `keep` what lies on it is copied to a folder beside it."""
        if keep:
            shutil.copytree(self.folder, self.folder.with_suffix(".kept"))
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def fill(self) -> None:
        """Take all the room that is left."""
        with self._ballast.open("wb", buffering=0) as file:
            for size in (65536, 4096, 512, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)
