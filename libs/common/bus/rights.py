"""Who may do what on the bus: one table, from which configuration, tests and documentation come.

Two accounts. In DORMICE every service is a user of its own, which publishes what it owns, calls the
verbs it needs, and reads all of EVENTS (so events hold no secret). READERS is for other systems: it
imports the alert and presence subjects into its own stream and can touch nothing else.

Consumer names are secrets (see `consumer_name`): rights on them end in `*`, as NATS has no wildcard
for a part of a name, and nobody may list them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from libs.common.bus.base import BUCKETS
from libs.common.bus.topology import EXPORTED, LOG, READERS_LOG

DORMICE: Final = "DORMICE"
READERS: Final = "READERS"
_SECRET_BUCKET = "agent-tokens"  # noqa: S105  # A bucket's name.
_SERVICES = ("gateway", "registry", "presence", "alerting", "catchup", "jobs", "notify", "ui")


@dataclass(frozen=True, slots=True)
class Rights:
    """What one user may do. Subjects are as NATS understands them, with its wildcards.

    `events` are stored in the log, `live` is not stored, `calls` are subjects of requests that it
    may send, `serves` those that it answers, `listens` the live subjects it hears, `writes` and
    `reads` are buckets.
    """

    events: tuple[str, ...] = ()
    live: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    serves: tuple[str, ...] = ()
    listens: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


_OPEN_BUCKETS = tuple(bucket for bucket in BUCKETS if bucket != _SECRET_BUCKET)
_BEATS = "dormice-live.beat.*"
_REGISTRY_VERBS_OF_OPERATORS = (
    "get_host", "list_hosts", "patch_host", "set_mode", "remove_host", "rotate_token",
    "create_enrollment_token", "set_repository", "decisions",
    "create_source_group", "patch_source_group", "delete_source_group",
    "create_schedule", "patch_schedule", "delete_schedule",
    "set_thresholds", "clear_thresholds", "list_thresholds",
)  # fmt: skip
"""Not `repository`, `enroll` and `find_tokens`: only a gateway may ask for a host's secrets."""
_JOB_LOGS = "dormice-live.job.>"


def _service(name: str, *families: str, **rights: tuple[str, ...]) -> Rights:
    """What every service may, and `rights`: its own families, its audit and its dead letters."""
    own = tuple(f"dormice.{family}.>" for family in families)
    common = (f"dormice.audit.{name}.>", f"dormice.dead.{name}.>")
    more = rights.pop("events", ())
    serves = (f"dormice-rpc.{name}.*", *rights.pop("serves", ()))
    reads = (*_OPEN_BUCKETS, *rights.pop("reads", ()))
    return Rights(events=(*own, *more, *common), serves=serves, reads=reads, **rights)


TABLE: Final[dict[str, Rights]] = {
    "gateway": _service(
        "gateway",
        "agent",
        events=("dormice.gateway.*.listening", "dormice.gateway.*.stopped"),
        live=(_BEATS, _JOB_LOGS),
        calls=tuple(
            f"dormice-rpc.registry.{verb}"
            for verb in ("enroll", "find_tokens", "secrets", "get_host")
        ),
        serves=("dormice-cmd.*.*",),
        reads=(_SECRET_BUCKET,),
    ),
    "registry": _service(
        "registry",
        "host",
        writes=("hosts", "thresholds", _SECRET_BUCKET),
        reads=(_SECRET_BUCKET,),
    ),
    "presence": _service(
        "presence",
        "presence",
        events=("dormice.gateway.*.lost", "dormice.agent.*.offline"),
        listens=(_BEATS,),
        writes=("sessions",),
    ),
    "alerting": _service("alerting", "alert", listens=(_BEATS,), writes=("alerts",)),
    "catchup": _service("catchup", "catchup"),
    "jobs": _service(
        "jobs", "job", calls=("dormice-cmd.*.*",), listens=(_JOB_LOGS,), writes=("backups",)
    ),
    "notify": _service("notify", "notification"),
    "ui": _service(
        "ui",
        calls=(
            *(f"dormice-rpc.registry.{verb}" for verb in _REGISTRY_VERBS_OF_OPERATORS),
            *(f"dormice-rpc.{name}.*" for name in _SERVICES if name not in ("ui", "registry")),
        ),
        listens=(_BEATS, _JOB_LOGS),
    ),
}
"""The services. `setup`, `reader` and `setup-readers` are no services: see `permissions`."""

USERS: Final[dict[str, str]] = {
    **dict.fromkeys(TABLE, DORMICE),
    "setup": DORMICE,
    "reader": READERS,
    "setup-readers": READERS,
}
"""Every user and its account."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """The subjects that the server lets a user publish and subscribe."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    answers: bool = False


def permissions(user: str) -> Permissions:
    """Return what the server is told about `user`. Raises KeyError for an unknown one."""
    if user == "setup":
        return _creator(user, LOG, *(f"KV_{bucket}" for bucket in BUCKETS))
    if user == "setup-readers":
        return _creator(user, READERS_LOG)
    if user == "reader":
        return _reader()
    rights = TABLE[user]
    publish = [
        *rights.events,
        *rights.live,
        *rights.calls,
        *(f"$KV.{bucket}.>" for bucket in rights.writes),
        *_reading(LOG),
        f"$JS.API.DIRECT.GET.{LOG}",
        *(subject for bucket in rights.reads for subject in _reading(f"KV_{bucket}")),
        *(f"$JS.API.DIRECT.GET.KV_{bucket}.>" for bucket in rights.reads),
        f"_INBOX_{user}.>",
    ]
    subscribe = [f"_INBOX_{user}.>", *rights.serves, *rights.listens]
    return Permissions(tuple(publish), tuple(subscribe), answers=True)


def _reading(stream: str) -> tuple[str, ...]:
    """What walking a stream with ephemeral consumers takes, unfiltered or with one filter."""
    return (
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",  # A client puts its one filter behind the name.
        *(f"$JS.API.CONSUMER.{verb}.{stream}.*" for verb in ("MSG.NEXT", "DELETE")),
    )


def _creator(user: str, *streams: str) -> Permissions:
    verbs = ("INFO", "CREATE", "UPDATE")
    api = [f"$JS.API.STREAM.{verb}.{stream}" for stream in streams for verb in verbs]
    return Permissions(("$JS.API.INFO", *api, f"_INBOX_{user}.>"), (f"_INBOX_{user}.>",))


def _reader() -> Permissions:
    """What any NATS client takes for durable consumers on ALERTS, and for listening live."""
    verbs = ("CREATE", "DURABLE.CREATE", "MSG.NEXT", "INFO", "DELETE")
    return Permissions(
        publish=(
            "$JS.API.INFO",
            f"$JS.API.STREAM.INFO.{READERS_LOG}",
            *(f"$JS.API.CONSUMER.{verb}.{READERS_LOG}.>" for verb in verbs),
            f"$JS.ACK.{READERS_LOG}.>",
        ),
        subscribe=(*EXPORTED, "_INBOX.>"),
    )
