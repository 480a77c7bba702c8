"""The registry's state machine: which hosts exist, what is expected of them, who speaks for them.

The handlers of the verbs stand in `enrollment`, `agent_tokens`, `hosts`, `configuration` and
`repositories`; the events are handled here. The own file is the truth: nothing that the log or a
bucket says undoes it. A record of a newer version than ours can only be our own from before an
older file was put back; it is taken up again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ValidationError

from libs.common.events.agent import AgentHello
from libs.common.events.host import (
    HostChanged,
    HostEnrolled,
    HostFact,
    HostModeChanged,
    HostRecord,
    HostRemoved,
    HostThresholdsChanged,
    ThresholdRules,
)
from libs.common.loop.machine import Buckets, Machine, OnRequest, Verb
from libs.common.loop.tx import Tx
from libs.common.security import Vault
from libs.common.sessions import HelloVerdict, assess_hello
from services.registry import (
    agent_tokens,
    changes,
    configuration,
    enrollment,
    hosts,
    policy,
    repositories,
    store,
    threshold_store,
    thresholds,
    token_store,
)
from services.registry import arguments as args
from services.registry.store import Host
from services.registry.token_store import AgentToken

Entry = TypeVar("Entry", bound=BaseModel)


class RegistryMachine(Machine):
    """Needs a vault for what it must be able to tell an agent later.

    `offline_after`: when a silent host is offline; no threshold of silence is shorter.
    """

    name: ClassVar[str] = "registry"
    package: ClassVar[str] = "services.registry"
    buckets: ClassVar[tuple[str, ...]] = (
        changes.HOSTS, thresholds.BUCKET, agent_tokens.BUCKET,
    )  # fmt: skip
    agents_wait: ClassVar[bool] = True
    knows_own: ClassVar[bool] = True

    def __init__(self, vault: Vault, offline_after: timedelta = timedelta(seconds=90)) -> None:
        super().__init__()
        self.handlers = {
            AgentHello: on_agent_hello,
            HostEnrolled: on_own_fact,
            HostChanged: on_own_fact,
            HostModeChanged: on_own_fact,
            HostRemoved: on_own_fact,
            HostThresholdsChanged: thresholds.on_own_change,
        }
        self.deadlines = {
            enrollment.EXPIRY: enrollment.on_enrollment_expiry,
            agent_tokens.EXPIRY: agent_tokens.on_token_expiry,
        }
        self.verbs = {
            **_host_verbs(offline_after), **_threshold_verbs(offline_after),
            **_configuration_verbs(), **_secret_verbs(vault),
        }  # fmt: skip

    def load(self, tx: Tx, buckets: Buckets) -> None:
        """Take up records that are newer than ours, and tokens of hosts for which we have none."""
        for record in _readable(tx, HostRecord, buckets.get(changes.HOSTS, {})).values():
            _take_up(tx, record)
        rules = _readable(tx, ThresholdRules, buckets.get(thresholds.BUCKET, {}))
        for found_rules in rules.values():
            thresholds.take_up(tx, found_rules)
        found = buckets.get(agent_tokens.BUCKET, {})
        _take_up_tokens(tx, _readable(tx, agent_tokens.TokenEntry, found))

    def republish(self, tx: Tx) -> None:
        for record in store.all_records(tx):
            tx.put(changes.HOSTS, record.id, record)
        rules = threshold_store.get_rules(tx)
        if rules.version:
            thresholds.put(tx, rules)
        for token in token_store.all_agent_tokens(tx):
            agent_tokens.put(tx, token)


def _host_verbs(offline_after: timedelta) -> dict[str, Verb]:
    patch_host = partial(hosts.on_patch_host, offline_after)
    return {
        "get_host": Verb(hosts.on_get_host, args.OfHost),
        "list_hosts": Verb(hosts.on_list_hosts, args.ListHosts),
        "patch_host": Verb(patch_host, args.PatchHost, "operator"),
        "set_mode": Verb(hosts.on_set_mode, args.SetMode, "operator"),
        "remove_host": Verb(hosts.on_remove_host, args.OfHost, "admin"),
    }


def _threshold_verbs(offline_after: timedelta) -> dict[str, Verb]:
    setter = thresholds.Setter(offline_after)
    return {
        "set_thresholds": Verb(setter.on_set, args.SetThresholds, "operator"),
        "clear_thresholds": Verb(thresholds.on_clear, args.ThresholdScope, "operator"),
        "list_thresholds": Verb(thresholds.on_list, args.Nothing),
    }


def _configuration_verbs() -> dict[str, Verb]:
    table: dict[str, tuple[OnRequest, type[args.Arguments]]] = {
        "create_source_group": (configuration.on_create_source_group, args.CreateGroup),
        "patch_source_group": (configuration.on_patch_source_group, args.PatchGroup),
        "delete_source_group": (configuration.on_delete_source_group, args.OfItem),
        "create_schedule": (configuration.on_create_schedule, args.CreateSchedule),
        "patch_schedule": (configuration.on_patch_schedule, args.PatchSchedule),
        "delete_schedule": (configuration.on_delete_schedule, args.OfItem),
    }
    return {name: Verb(handler, model, "operator") for name, (handler, model) in table.items()}


def _secret_verbs(vault: Vault) -> dict[str, Verb]:
    create = enrollment.on_create_enrollment_token
    rotate = partial(agent_tokens.on_rotate_token, vault)
    set_repository = partial(repositories.on_set_repository, vault)
    secrets = partial(repositories.on_secrets, vault)
    return {
        "create_enrollment_token": Verb(create, args.CreateEnrollmentToken, "operator"),
        "set_repository": Verb(set_repository, args.SetRepository, "operator"),
        "rotate_token": Verb(rotate, args.OfHost, "admin"),
        # The rest is for services: the handlers ask for the system itself.
        "enroll": Verb(enrollment.on_enroll, args.Enroll, "admin"),
        "find_tokens": Verb(agent_tokens.on_find_tokens, args.FindTokens, "admin"),
        "secrets": Verb(secrets, args.OfHosts, "admin"),
    }


# -- events ----------------------------------------------------------------------------------------


def on_agent_hello(tx: Tx, event: AgentHello) -> None:
    """Learn what the agent says of its machine, and that it uses a new token. Once per session."""
    said = store.look_up_hello(tx, event)
    if said is None or said.host.record.removed:
        return
    host = said.host
    if said.ends_tokens:
        agent_tokens.confirm(tx, host, event)
    verdict = assess_hello(host.connection, event.connection, known=said.known)
    if verdict is HelloVerdict.KNOWN:
        return
    store.save_session(tx, event.host_id, event.session)
    if said.sessions + 1 >= 2 * store.SESSIONS_KEPT:
        store.forget_old_sessions(tx, event.host_id)
    if verdict is HelloVerdict.NEWER:
        store.save_newest(tx, event.host_id, event.session, event.connection)
        _learn(tx, host, event)


def _learn(tx: Tx, host: Host, event: AgentHello) -> None:
    reported = {
        "os": policy.one_line(event.os, 32),
        "arch": policy.one_line(event.arch, 32),
        "agent_version": policy.one_line(event.agent_version, 64),
    }
    facts = policy.reported_facts(host.record, reported)
    facts["timezone"] = _zone_after(tx, host, event.timezone[:64])
    new = changes.change(tx, host.record, facts)
    changed = policy.changed_fields(host.record, facts)
    if changed:
        tx.decide(
            new.id, "host_facts_changed", _reported(changed, first=not host.record.agent_version),
            session=event.session, after={name: facts[name] for name in changed},
        )  # fmt: skip


_FACTS = {"os": "system", "arch": "processor", "agent_version": "version", "timezone": "time zone"}


def _reported(changed: Iterable[str], *, first: bool) -> str:
    """`its agent reports its version`, later `another version`."""
    whose = "its" if first else "another"
    return f"its agent reports {whose} {', '.join(_FACTS[name] for name in changed)}"


def _zone_after(tx: Tx, host: Host, reported: str) -> str:
    """Return the zone that holds: the operator's, else what the agent says if it is a zone here."""
    record = host.record
    if not reported or reported == host.reported_zone:
        return record.timezone
    store.save_zone(tx, record.id, is_set=host.zone_is_set, reported=reported)
    zone = hosts.known_zone(reported)
    if zone is None:
        tx.decide(record.id, "zone_unknown", f"its agent reports no known zone: {reported!r}")
    elif host.zone_is_set:
        tx.decide(record.id, "zone_kept", f"an operator set {record.timezone}; it reports {zone}")
    return record.timezone if zone is None or host.zone_is_set else zone


def on_own_fact(tx: Tx, event: HostFact) -> None:
    """Our own word: news only if an older file was put back since. Idempotent by its version."""
    _take_up(tx, event.record)


def _take_up(tx: Tx, record: HostRecord) -> None:
    ours = store.known_version(tx, record.id)
    if ours is not None and ours >= record.version:
        return  # Nothing follows a tombstone, so none is ever undone.
    store.save_record(tx, record)
    if ours is None:
        store.save_zone(tx, record.id, is_set=False, reported=record.timezone)
    if record.removed:
        hosts.forget(tx, record.id)
    tx.decide(
        record.id, "record_taken_up", "the log or the bucket knew a newer version than our file",
        version=record.version, ours=ours,
    )  # fmt: skip


def _readable(tx: Tx, model: type[Entry], found: Mapping[str, bytes]) -> dict[str, Entry]:
    """A value that nobody can read must not keep the registry from starting."""
    entries = {}
    for key, value in found.items():
        try:
            entries[key] = model.model_validate_json(value)
        except ValidationError:
            tx.decide(key, "bucket_value_unreadable", f"not a {model.__name__}; left as it is")
    return entries


def _take_up_tokens(tx: Tx, found: Mapping[str, agent_tokens.TokenEntry]) -> None:
    without = {
        record.id for record in store.all_records(tx)
        if not record.removed and not token_store.agent_tokens(tx, record.id)
    }  # fmt: skip
    for token_hash, entry in found.items():
        if entry.host_id in without:
            token = AgentToken(token_hash, entry.host_id, entry.token_version)
            token_store.save_agent_token(tx, token)
