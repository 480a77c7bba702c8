"""What must exist on a NATS server: the log, the buckets, and the readers' copy of the alerts.

`ensure` is for a user that may create (`setup`); everyone else calls `ensure_log`, which waits.
The log is created last: whoever sees it may rely on the buckets.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Protocol

import structlog

from libs.common.bus.base import (
    BUCKETS,
    DUPLICATE_WINDOW,
    LOG_MAX_AGE,
    BusAway,
    LogMissing,
    PublishRefused,
)

log = structlog.get_logger()

LOG = "EVENTS"
READERS_LOG = "ALERTS"
FAMILIES = (
    "agent",
    "gateway",
    "host",
    "presence",
    "catchup",
    "job",
    "alert",
    "notification",
    "audit",
    "dead",
)
LOG_SUBJECTS = tuple(f"dormice.{family}.>" for family in FAMILIES)
EXPORTED = ("dormice.alert.>", "dormice.presence.>")
LOG_MAX_BYTES = 8 * 2**30
READERS_MAX_BYTES = 2**30
READERS_MAX_AGE = timedelta(days=90)
SMALLEST_LOG_BYTES = 8 * 2**20

_NOT_FOUND = 10059
_NO_ROOM = (10047, 10028)
"""Insufficient storage of the server, of the account."""


class JetStreamApi(Protocol):
    """The raw JetStream API under one user, as `NatsBus` offers it."""

    async def api(self, verb: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer of `$JS.API.<verb>`, its `error` included."""
        ...


def is_stored(subject: str) -> bool:
    """Say whether the log stores `subject`."""
    root, _, rest = subject.partition(".")
    family, _, last = rest.partition(".")
    return root == "dormice" and family in FAMILIES and bool(last)


async def ensure(bus: JetStreamApi, max_bytes: int = LOG_MAX_BYTES) -> None:
    """Create the buckets and the log, or bring their configuration up to date.

    Raises:
        LogMissing: something is missing and this user may not create it.
        BusAway
    """
    for bucket in BUCKETS:
        await _ensure_stream(bus, _bucket_config(bucket))
    await _ensure_stream(bus, _log_config(max_bytes))


async def ensure_readers(bus: JetStreamApi, max_bytes: int = READERS_MAX_BYTES) -> None:
    """In the readers' account: the stream that keeps what is exported. Raises as `ensure`."""
    await _ensure_stream(
        bus,
        _file_stream(READERS_LOG, EXPORTED)
        | {"max_age": _nanos(READERS_MAX_AGE), "max_bytes": max_bytes, "discard": "old"},
    )


async def ensure_log(bus: JetStreamApi, poll: timedelta = timedelta(seconds=0.25)) -> None:
    """Return once the log exists: create it if this user may, else wait for who may."""
    tried = False
    while True:
        try:
            if await _find_config(bus, LOG) is not None:
                return
            if not tried:
                tried = True
                await ensure(bus)
                return
        except LogMissing:
            log.warning("log_missing_waiting")
        except BusAway:
            tried = False  # It may be another server, or other rights, by then.
        await asyncio.sleep(poll.total_seconds())


async def _ensure_stream(bus: JetStreamApi, wanted: dict[str, Any]) -> None:
    name = wanted["name"]
    present = await _find_config(bus, name)
    if present is None:
        await _create(bus, wanted)
    else:
        await _update(bus, present, wanted)


async def _find_config(bus: JetStreamApi, name: str) -> dict[str, Any] | None:
    try:
        answer = await bus.api(f"STREAM.INFO.{name}")
    except PublishRefused:
        raise LogMissing(f"This user may not even look for {name}.") from None
    if "error" not in answer:
        return dict(answer["config"])
    if answer["error"].get("err_code") == _NOT_FOUND:
        return None
    raise BusAway(f"{name}: {answer['error'].get('description')}")


async def _create(bus: JetStreamApi, wanted: dict[str, Any]) -> None:
    """Create, with half the size again and again where the server has not that much room."""
    name = wanted["name"]
    while True:
        try:
            answer = await bus.api(f"STREAM.CREATE.{name}", wanted)
        except PublishRefused:
            raise LogMissing(f"{name} does not exist, and this user may not create it.") from None
        error = answer.get("error")
        if error is None:
            log.info("stream_created", stream=name, max_bytes=wanted["max_bytes"])
            return
        if error.get("err_code") not in _NO_ROOM or wanted["max_bytes"] <= SMALLEST_LOG_BYTES:
            raise BusAway(f"{name} cannot be created: {error.get('description')}")
        wanted = wanted | {"max_bytes": wanted["max_bytes"] // 2}


async def _update(bus: JetStreamApi, present: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Bring what differs up to date; a refusal leaves a stream that works as it is.

    The size stays what it is: creation may have had to halve it, or an operator chose it.
    """
    name = wanted["name"]
    config = present | wanted | {"max_bytes": present["max_bytes"]}
    if all(present.get(key) == value for key, value in config.items()):
        return
    try:
        answer = await bus.api(f"STREAM.UPDATE.{name}", config)
    except PublishRefused:
        return
    if error := answer.get("error"):
        log.warning("stream_update_refused", stream=name, error=error.get("description"))
    else:
        log.info("stream_updated", stream=name)


def _log_config(max_bytes: int) -> dict[str, Any]:
    """Single messages are never deleted: a reader may rely on sequences without holes."""
    return _file_stream(LOG, LOG_SUBJECTS) | {
        "max_age": _nanos(LOG_MAX_AGE),
        "max_bytes": max_bytes,
        "discard": "old",
        "deny_delete": True,
        "allow_atomic": True,
    }


def _bucket_config(bucket: str) -> dict[str, Any]:
    """The stream behind a NATS key-value bucket, as its clients expect it."""
    return _file_stream(f"KV_{bucket}", (f"$KV.{bucket}.>",)) | {
        "max_msgs_per_subject": 1,
        "max_bytes": -1,
        "discard": "new",
        "deny_delete": True,
        "allow_rollup_hdrs": True,
        "allow_atomic": True,
    }


def _file_stream(name: str, subjects: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": name,
        "subjects": list(subjects),
        "retention": "limits",
        "storage": "file",
        "duplicate_window": _nanos(DUPLICATE_WINDOW),
        "allow_direct": True,
    }


def _nanos(span: timedelta) -> int:
    return int(span.total_seconds() * 1e9)
