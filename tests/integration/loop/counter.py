"""A small machine that leaves a trace of all that the loop promises, and a process for it.

It counts each host's hellos, emits one `presence.online` for each, and per host sets a deadline
that emits one `presence.offline` after all of them.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime, timedelta
from pathlib import Path

from libs.common.bus.nats import NatsBus
from libs.common.events import registry  # noqa: F401  makes every event known
from libs.common.events.agent import AgentHello, OfflineReason
from libs.common.events.presence import PresenceOffline, PresenceOnline
from libs.common.logging import configure
from libs.common.loop.machine import Machine
from libs.common.loop.service import Service
from libs.common.loop.tx import Tx
from libs.common.store.database import Database


class Counter(Machine):
    name = "presence"
    package = "tests.integration.loop"

    def __init__(self) -> None:
        super().__init__()
        self.handlers = {AgentHello: self.on_hello}
        self.deadlines = {"quiet": self.on_quiet}

    def on_hello(self, tx: Tx, event: AgentHello) -> None:
        seen = tx.db.execute("INSERT OR IGNORE INTO hello VALUES (?, ?)",
                             (event.host_id, event.session))  # fmt: skip
        if not seen.rowcount:
            return
        tx.put("sessions", event.host_id, {"session": event.session})
        tx.emit(PresenceOnline(host_id=event.host_id, name="", always_on=True, since=tx.time,
                               session=event.session, gateway="gw-1"))  # fmt: skip
        tx.schedule("quiet", event.host_id, tx.time + timedelta(milliseconds=20))

    def on_quiet(self, tx: Tx, key: str, due_at: datetime) -> None:
        told = tx.db.execute("INSERT OR IGNORE INTO told VALUES (?)", (key,))
        if told.rowcount:
            tx.emit(PresenceOffline(host_id=key, name="", always_on=True, session="", since=due_at,
                                    last_seen=due_at, reason=OfflineReason.SLEEP))  # fmt: skip


async def main(url: str, folder: str) -> None:
    configure(form="json")
    bus = NatsBus(url, user="presence", password=sys.stdin.readline().strip(), name="presence")
    service = Service(Counter(), bus, Database(Path(folder) / "counter.db", Counter.package))
    service.on_signal("connected", lambda _: print("connected", flush=True))
    await service.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
