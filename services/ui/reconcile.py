"""After the log was wiped, rewound or outlived: ask the owners about what may have changed unseen.

The read model keeps its history and loads the buckets, but a bucket only says what is there: an
alert that ended, or a job, is in none. So each thing that is shown as unfinished is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from libs.common.errors import DormiceError, RemoteError
from libs.common.events.alert import Alert
from libs.common.events.host import SYSTEM, HostRecord
from libs.common.loop.service import Service
from libs.common.loop.tx import Tx
from services.ui import on_presence, store, store_alerts, store_jobs
from services.ui.calls import Calls

log = structlog.get_logger()

AT_ONCE = 20
TRIES = 60
RETRY_SECONDS = 1.0

_UNFINISHED_JOBS = (
    "SELECT id, host_id FROM job WHERE status IN ('requested', 'dispatched', 'running')"
)
_OPEN_ALERTS = "SELECT id, host_id FROM alert WHERE state <> 'resolved'"
_HOSTS = "SELECT id, id FROM host WHERE removed = 0"


class Reconciler:
    """Asks for everything unfinished; what an owner does not know any more has ended."""

    def __init__(self, service: Service, calls: Calls) -> None:
        self._service, self._calls = service, calls

    async def run(self) -> None:
        """Bring the read model up to date with its owners."""
        await self._each(_HOSTS, "registry", "get_host", "host_id", _take_host)
        await self._each(_HOSTS, "presence", "get_session", "host_id", _take_session)
        await self._each(_OPEN_ALERTS, "alerting", "get_alert", "alert_id", _take_alert)
        await self._each(_UNFINISHED_JOBS, "jobs", "get_job", "job_id", _take_job)
        log.info("reconciled")

    async def _each(  # a line of the table above
        self, sql: str, service: str, verb: str, name: str,
        take: Callable[[Tx, str, str | None, dict[str, Any] | None], None],
    ) -> None:  # fmt: skip
        found: Sequence[tuple[str, str | None]] = await self._service.read(
            lambda db: db.execute(sql).fetchall()
        )
        places = asyncio.Semaphore(AT_ONCE)

        async def one(item: str, host_id: str | None) -> None:
            async with places:
                answer = await _patient(
                    lambda: self._calls.ask(service, verb, {name: item}, SYSTEM)
                )
                await self._service.submit(lambda tx: take(tx, item, host_id, answer))

        await asyncio.gather(*(one(item, host_id) for item, host_id in found))


async def _patient(ask: Callable[[], Awaitable[Any]]) -> dict[str, Any] | None:
    """Ask until the owner answers; None if it does not know the thing."""
    for _ in range(TRIES):
        try:
            result: dict[str, Any] = (await ask()).result
            return result
        except RemoteError as error:
            if error.code.endswith("not_found"):
                return None
            last: DormiceError = error
        except DormiceError as error:
            last = error
        await asyncio.sleep(RETRY_SECONDS)
    raise last


def _take_host(tx: Tx, host_id: str, _: str | None, answer: dict[str, Any] | None) -> None:
    if answer is None:
        store.update(tx, host_id, removed=1)
        store.drop_tags(tx, host_id)
    elif not store.save_record(tx, HostRecord.model_validate(answer)):
        return
    store.refresh(tx, host_id)


def _take_session(tx: Tx, host_id: str, _: str | None, answer: dict[str, Any] | None) -> None:
    if answer is not None and answer.get("session"):
        on_presence.load_session(tx, answer)
        store.refresh(tx, host_id)


def _take_alert(tx: Tx, alert_id: str, host_id: str | None, answer: dict[str, Any] | None) -> None:
    if answer is None:
        store_alerts.end_unknown(tx, alert_id)
    else:
        store_alerts.save_alert(tx, Alert.model_validate(answer))
    if host_id is not None:
        store.refresh(tx, host_id)


def _take_job(tx: Tx, job_id: str, host_id: str | None, answer: dict[str, Any] | None) -> None:
    store_jobs.take_answer(tx, job_id, answer)
    if host_id is not None:
        store.refresh(tx, host_id)
    tx.signal("job", job_id)
