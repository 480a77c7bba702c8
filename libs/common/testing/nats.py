"""A real nats-server for tests, which can be stopped, killed, wiped and rewound."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from libs.common.bus.embedded import EmbeddedServer, write_private
from libs.common.bus.nats import NatsBus
from libs.common.bus.server_config import server_config
from libs.common.bus.topology import ensure, ensure_readers


class NatsServer:
    """A server on a folder of its own. Its port stays the same across restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listen = "127.0.0.1:0"
        self._server = EmbeddedServer(folder)

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("nats://").rpartition(":")
        return host, int(port)

    @property
    def pid(self) -> int:
        return self._server.pid

    @property
    def passwords(self) -> dict[str, str]:
        return dict(self._server.passwords)

    def start(self) -> None:
        self._server = EmbeddedServer(self.folder, self._listen)
        self._server.start()
        self._listen = self.url.removeprefix("nats://")

    def stop(self) -> None:
        self._server.stop()

    def kill(self) -> None:
        self._server.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def wipe(self) -> None:
        """Lose everything stored; call it while stopped."""
        shutil.rmtree(self._store)

    def save(self) -> None:
        """Keep a copy of what is stored, for `rewind`; call it while stopped."""
        shutil.copytree(self._store, self._copy)

    def rewind(self) -> None:
        """Put the saved copy in the place of what is stored; call it while stopped."""
        self.wipe()
        shutil.copytree(self._copy, self._store)

    @property
    def _store(self) -> Path:
        return self.folder / "nats" / "store"

    @property
    def _copy(self) -> Path:
        return self.folder / "nats" / "copy"

    def bus(self, user: str, url: str | None = None) -> NatsBus:
        """Return an unconnected bus under `user`'s rights; `url` leads through a proxy."""
        return NatsBus(url or self.url, user=user, password=self.passwords[user], name=user)

    def change_password(self, user: str, password: str) -> None:
        """Have the running server take another password for `user`: it ends their connections."""
        text = server_config(
            self.passwords | {user: password}, self._listen, self.folder / "nats" / "store"
        )
        write_private(self.folder / "nats" / "server.conf", text)
        os.kill(self._server.pid, signal.SIGHUP)

    async def create_topology(self) -> None:
        """Make the log, the buckets and the readers' stream."""
        for user, create in (("setup", ensure), ("setup-readers", ensure_readers)):
            bus = self.bus(user)
            await bus.connect()
            await create(bus)
            await bus.close()
