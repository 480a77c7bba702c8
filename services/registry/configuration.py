"""Part of the machine: schedules and source groups. Each change makes `config_version` larger."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from libs.common.errors import NotFound
from libs.common.events.host import Actor, HostRecord, Schedule, SourceGroup
from libs.common.labels import LABEL_LENGTH
from libs.common.loop.tx import Tx
from services.registry import changes, checks, policy, store
from services.registry.arguments import (
    CreateGroup,
    CreateSchedule,
    OfItem,
    PatchGroup,
    PatchSchedule,
)
from services.registry.changes import Deed

Item = TypeVar("Item", Schedule, SourceGroup)
_TUPLES = ("includes", "excludes", "source_group_ids")


def on_create_source_group(tx: Tx, actor: Actor, wanted: CreateGroup) -> SourceGroup:
    record = store.get_host(tx, wanted.host_id).record
    checks.check_count(record.source_groups, "source groups")
    group = SourceGroup(id=tx.new_id(), **_as_tuples(wanted.given()))
    group = checks.check_group(group, record.source_groups)
    _change(tx, record, {"source_groups": (*record.source_groups, group)})
    changes.audit(tx, Deed(actor, "source_group.created", group.id, record.id), after=group)
    return group


def on_patch_source_group(tx: Tx, actor: Actor, wanted: PatchGroup) -> SourceGroup:
    record = store.get_host(tx, wanted.host_id).record
    old = _get(record.source_groups, wanted.id, "source group")
    update = _as_tuples(wanted.given("retention", "hooks"))
    new = checks.check_group(old.model_copy(update=update), record.source_groups)
    if new != old:
        _change(tx, record, {"source_groups": _replaced(record.source_groups, new)})
        deed = Deed(actor, "source_group.updated", new.id, record.id)
        changes.audit(tx, deed, before=old, after=new)
    return new


def on_delete_source_group(tx: Tx, actor: Actor, wanted: OfItem) -> SourceGroup:
    """Delete a group; the schedules that name it stay, without it."""
    record = store.get_host(tx, wanted.host_id).record
    group = _get(record.source_groups, wanted.id, "source group")
    _change(tx, record, policy.without_group(record, group.id))
    _note_schedules(tx, record, group)
    changes.audit(tx, Deed(actor, "source_group.deleted", group.id, record.id), before=group)
    return group


def _note_schedules(tx: Tx, record: HostRecord, group: SourceGroup) -> None:
    shrunk = [item for item in record.schedules if group.id in item.source_group_ids]
    if shrunk:
        tx.decide(
            record.id, "schedules_lost_group", f"{group.name} is gone, and in no schedule any more",
            rule="R13", source_group_id=group.id, schedules=[item.name for item in shrunk],
        )  # fmt: skip


def on_create_schedule(tx: Tx, actor: Actor, wanted: CreateSchedule) -> Schedule:
    """Raises: BadCron, BadInput, Conflict."""
    record = store.get_host(tx, wanted.host_id).record
    checks.check_count(record.schedules, "schedules")
    given = {"name": "", **_as_tuples(wanted.given())}
    schedule = Schedule(id=tx.new_id(), **given)
    schedule = checks.check_schedule(schedule, record.source_groups)
    _change(tx, record, {"schedules": (*record.schedules, schedule)})
    changes.audit(tx, Deed(actor, "schedule.created", schedule.id, record.id), after=schedule)
    return schedule


def on_patch_schedule(tx: Tx, actor: Actor, wanted: PatchSchedule) -> Schedule:
    """A schedule that was never named is called by its cron expression, and stays so."""
    record = store.get_host(tx, wanted.host_id).record
    old = _get(record.schedules, wanted.id, "schedule")
    update = _as_tuples(wanted.given("timezone"))
    if old.name == old.cron[:LABEL_LENGTH] and "name" not in update and "cron" in update:
        update["name"] = ""
    new = checks.check_schedule(old.model_copy(update=update), record.source_groups)
    if new != old:
        _change(tx, record, {"schedules": _replaced(record.schedules, new)})
        deed = Deed(actor, "schedule.updated", new.id, record.id)
        changes.audit(tx, deed, before=old, after=new)
    return new


def on_delete_schedule(tx: Tx, actor: Actor, wanted: OfItem) -> Schedule:
    record = store.get_host(tx, wanted.host_id).record
    old = _get(record.schedules, wanted.id, "schedule")
    rest = tuple(item for item in record.schedules if item.id != old.id)
    _change(tx, record, {"schedules": rest})
    changes.audit(tx, Deed(actor, "schedule.deleted", old.id, record.id), before=old)
    return old


def _change(tx: Tx, record: HostRecord, wanted: dict[str, Any]) -> None:
    """Raises: BadInput if the record would become too large for an event."""
    checks.check_record(policy.next_record(record, wanted))
    changes.change(tx, record, wanted)


def _get(items: Iterable[Item], item_id: str, what: str) -> Item:
    for item in items:
        if item.id == item_id:
            return item
    raise NotFound(f"this host has no {what} with this id")


def _replaced(items: Iterable[Item], new: Item) -> tuple[Item, ...]:
    return tuple(new if item.id == new.id else item for item in items)


def _as_tuples(given: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if name in _TUPLES and isinstance(value, list) else value
        for name, value in given.items()
    }
