"""What restic does for each kind of job: one function a kind, in the table `KINDS`.

The first backup into an empty place makes the repository; once this agent has used a repository,
one that is gone is an error, not made again: more likely a disk is not mounted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent.engines import restic_reasons as reasons
from agent.engines.includes import split_by_presence, tell_missing
from agent.engines.restic_voice import Restic, json_of
from agent.files import write_private
from agent.work import Outcome, Work
from libs.common.job_arguments import RestoreArguments, SnapshotsArguments, arguments_of
from libs.common.protocol import FailureReason

INCOMPLETE = 3
SNAPSHOTS_SHOWN = 200
PATHS_SHOWN = 5
PATH_SHOWN = 200
ID_SHOWN = 16
LIST_BYTES = 48 * 1024
RESTORE_TELLS = (0, 17)
"""The first version whose restore says how far it is, to a program."""

_GONE = "the repository is gone; is its disk mounted?"
_COUNTED = re.compile(r"(keep|remove) (\d+) snapshots")
_GLOB = re.compile(r"([\\*?\[])")


@dataclass(frozen=True, slots=True)
class Task:
    """One job, with restic and what this agent knows of the repository."""

    work: Work
    restic: Restic
    hostname: str
    patience: timedelta
    version: tuple[int, int] | None
    marker: Path

    def was_used(self) -> bool:
        return self.marker.exists()

    def mark_used(self) -> None:
        if not self.was_used():
            write_private(self.marker, "this agent has used the repository\n")

    async def run(self, *arguments: str) -> int:
        """Run restic as soon as nobody else holds the repository."""
        return await self.restic.run_unlocked(*arguments, patience=self.patience)

    def of_group(self) -> list[str]:
        """Return what narrows a command to the snapshots of the source group, if there is one."""
        return [] if self.work.group is None else [f"--tag={self.work.group.name}"]


async def back_up(task: Task) -> Outcome:
    """Back up the group's folders into the repository, which is made if it is a first."""
    restic = task.restic
    present, missing = split_by_presence(task.work.source.includes)
    if not present:
        said = f"nothing to back up: {tell_missing(missing)}"
        return restic.refused(said, reason=FailureReason.NOTHING_TO_BACK_UP)
    for path in missing:
        restic.note(f"{path} does not exist")
    arguments = _backup_arguments(task, present)
    code = await task.run(*arguments)
    if reasons.has_no_repository(code, restic.complaints):
        if task.was_used():
            return _gone(task, code)
        code = await restic.run("init")
        if code != 0 and not _was_made_meanwhile(restic):
            error = f"cannot make the repository: {reasons.tell(code, restic.complaints)}"
            return restic.refused(error, code, reason=restic.reason(code))
        restic.note("made the repository")
        code = await task.run(*arguments)
    return _backup_outcome(task, code, missing)


def _backup_arguments(task: Task, present: list[str]) -> list[str]:
    group = task.work.source
    excludes = [f"--exclude={pattern}" for pattern in group.excludes]
    return [
        "backup", "--json", f"--tag={group.name}", f"--host={task.hostname}", *excludes,
        "--", *present,
    ]  # fmt: skip


def _was_made_meanwhile(restic: Restic) -> bool:
    """Say whether `init` failed because another host that shares it was faster."""
    return any("already" in line for line in restic.complaints)


def _backup_outcome(task: Task, code: int, missing: list[str]) -> Outcome:
    restic = task.restic
    if code in (0, INCOMPLETE) and restic.summary is not None:
        task.mark_used()
    if code == 0 and not missing:
        return restic.succeeded(restic.summary)
    if code in (0, INCOMPLETE) and restic.summary is not None:
        return restic.warned(tell_missing(missing) if missing else restic.last_words(), code)
    return restic.failed(code)


async def forget(task: Task) -> Outcome:
    """Forget the group's snapshots of this host that its retention does not keep."""
    rules = _keep_rules(task.work.source.retention or {})
    if not rules:
        return task.restic.refused("the source group has no retention: nothing is forgotten")
    counts: dict[str, int] = {}
    with task.restic.watching(lambda line: _count_snapshots(line, counts)):
        code = await task.run(
            "forget", f"--tag={task.work.source.name}", f"--host={task.hostname}",
            "--group-by=host,tags", "--compact", *rules,
        )  # fmt: skip
    if code != 0:
        return task.restic.failed(code)
    return task.restic.succeeded(
        {"snapshots_kept": counts.get("keep", 0), "snapshots_removed": counts.get("remove", 0)}
    )


def _keep_rules(retention: Mapping[str, Any]) -> list[str]:
    """Return restic's options for `{"keep_daily": 7, "within": "30d"}`; a count of 0 is no rule."""
    rules = []
    for name, value in retention.items():
        rule = name.removeprefix("keep_").replace("_", "-")
        if value not in (0, ""):
            rules.append(f"--keep-{rule}={value}")
    return rules


def _count_snapshots(line: str, counts: dict[str, int]) -> None:
    found = _COUNTED.match(line)
    if found:
        counts[found[1]] = counts.get(found[1], 0) + int(found[2])


async def prune(task: Task) -> Outcome:
    """Remove what no snapshot needs."""
    return await _plainly(task, "prune")


async def check(task: Task) -> Outcome:
    """Look whether the repository is sound."""
    return await _plainly(task, "check")


async def _plainly(task: Task, command: str) -> Outcome:
    code = await task.run(command)
    return task.restic.succeeded() if code == 0 else _failed(task, code)


def _failed(task: Task, code: int) -> Outcome:
    """Return a failure; that there is no repository is said as such."""
    if reasons.has_no_repository(code, task.restic.complaints):
        if task.was_used():
            return _gone(task, code)
        said = "there is no repository at this place yet"
        return task.restic.refused(said, code, reason=FailureReason.REPOSITORY_ABSENT)
    return task.restic.failed(code)


def _gone(task: Task, code: int) -> Outcome:
    """A repository that this agent has used is not there. On this machine's own paths that is a
    disk which is not plugged in; a server that answers so was reached."""
    repository = task.work.repository
    local = repository is not None and reasons.is_local(repository.url)
    reason = FailureReason.REPOSITORY_UNREACHABLE if local else FailureReason.REPOSITORY_ABSENT
    return task.restic.refused(_GONE, code, reason=reason)


async def unlock(task: Task) -> Outcome:
    """Remove stale locks; one that is in use stays."""
    code = await task.restic.run("unlock")
    return task.restic.succeeded() if code == 0 else _failed(task, code)


async def init(task: Task) -> Outcome:
    """Make the repository; if it is there and opens with the password, all is well."""
    restic = task.restic
    code, _ = await restic.read("cat", "--no-lock", "config")
    if code == 0:
        restic.note("the repository is there already")
    elif reasons.has_no_repository(code, restic.complaints):
        code = await restic.run("init")
    if code != 0:
        return restic.failed(code)
    task.mark_used()
    return restic.succeeded()


async def snapshots(task: Task) -> Outcome:
    """List the newest snapshots of this host, or of all that share the repository."""
    wanted = arguments_of("snapshots", task.work.arguments)
    assert isinstance(wanted, SnapshotsArguments)
    whose = [] if wanted.all_hosts else [f"--host={task.hostname}"]
    code, lines = await task.restic.read(
        "snapshots", "--no-lock", "--json", f"--latest={SNAPSHOTS_SHOWN}", *whose, *task.of_group()
    )
    if code != 0:
        return _failed(task, code)
    try:
        found = json.loads("".join(lines)) or []
    except ValueError:
        return task.restic.refused("restic's list of snapshots cannot be read", code)
    shown = _that_fit([_shown(one) for one in found[-SNAPSHOTS_SHOWN:]])
    task.restic.note(f"{len(found)} snapshots")
    return task.restic.succeeded({"snapshots": shown, "total": len(found)})


def _shown(snapshot: dict[str, Any]) -> dict[str, Any]:
    paths = [str(path)[:PATH_SHOWN] for path in snapshot.get("paths") or []]
    return {
        "id": str(snapshot.get("id", ""))[:ID_SHOWN],
        "time": snapshot.get("time"),
        "hostname": snapshot.get("hostname", ""),
        "tags": list(snapshot.get("tags") or []),
        "paths": paths[:PATHS_SHOWN],
        "paths_total": len(paths),
    }


def _that_fit(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the newest of the snapshots that a report has room for."""
    while len(json.dumps(shown)) > LIST_BYTES:
        shown = shown[len(shown) // 8 + 1 :]
    return shown


async def restore(task: Task) -> Outcome:
    """Take paths of a snapshot back, below a folder; what is not in it is said, not ignored."""
    wanted = arguments_of("restore", task.work.arguments)
    assert isinstance(wanted, RestoreArguments)
    whose = []
    if wanted.snapshot == "latest":
        whose = [f"--host={task.hostname}", *task.of_group()]
    code, found, absent = await _find_in_snapshot(task, wanted, whose)
    if code != 0:
        return _failed(task, code)
    if absent:
        return task.restic.refused("not in the snapshot: " + ", ".join(absent[:5]))
    includes = [f"--include={_literally(path)}" for path in wanted.paths]
    tells = ["--json"] if (task.version or (0, 0)) >= RESTORE_TELLS else []
    code = await task.run("restore", found, f"--target={wanted.target}", *tells, *includes)
    if code != 0:
        return task.restic.failed(code)
    return task.restic.succeeded({"snapshot_id": found, **(task.restic.summary or {})})


async def _find_in_snapshot(
    task: Task, wanted: RestoreArguments, whose: list[str]
) -> tuple[int, str, list[str]]:
    """Return restic's exit code, the snapshot's whole id, and the paths that are not in it."""
    found, absent = wanted.snapshot, []
    for path in wanted.paths or [""]:
        where = [wanted.snapshot, path or "/"]
        code, lines = await task.restic.read("ls", "--no-lock", "--json", *whose, *where)
        if code != 0:
            return code, found, []
        messages = [message for line in lines if (message := json_of(line))]
        found = next((str(one["id"]) for one in messages if "id" in one), found)
        if path and not any(_is_at(one, path) for one in messages):
            absent.append(path)
    return 0, found, absent


def _is_at(node: dict[str, Any], path: str) -> bool:
    return str(node.get("path", "")).rstrip("/") == path.rstrip("/")


def _literally(path: str) -> str:
    """An include is a pattern: what would match anything stands for itself."""
    return _GLOB.sub(r"\\\1", path)


KINDS: dict[str, Callable[[Task], Awaitable[Outcome]]] = {
    "backup": back_up,
    "forget": forget,
    "prune": prune,
    "check": check,
    "unlock": unlock,
    "init": init,
    "restore": restore,
    "snapshots": snapshots,
}
