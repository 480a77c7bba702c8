"""Asking for jobs of any kind, waiting for their end, and a host's snapshots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import typer

from cli.advice import advised
from cli.backup import SUCCESSES, choose_group
from cli.client import Client
from cli.errors import BadCommand
from cli.finding import find_host, find_part, short
from cli.jobs import end_sentence, wait_for_end
from cli.options import Ask
from cli.output import Listing, warn
from cli.parts import parts_of
from cli.table import Column, Row, Table
from cli.times import moment, since
from libs.common.clock import SystemClock
from libs.common.errors import Conflict, NotFound, RemoteError
from libs.common.job_arguments import MAY_HAVE_GROUP, NEEDS_GROUP

KINDS = ("backup", "forget", "prune", "check", "unlock", "init", "restore", "snapshots")
SNAPSHOT_FIELDS = ("id", "time", "hostname", "tags", "paths", "paths_total")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job as a person asks for it; `group` by name or id."""

    kind: str
    group: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    when_it_wakes: bool = False


def start_job(ask: Ask, word: str, wanted: Wanted, *, wait: bool) -> None:
    """Ask for a job and say what is done.

    Raises: BadCommand, NotFound, RemoteError with what to do.
    """
    if wanted.kind not in KINDS:
        raise BadCommand(f"{wanted.kind[:40]!r} is no kind of job; they are {', '.join(KINDS)}")
    host = find_host(ask.client, word)
    done = request(ask.client, host, wanted)
    job_id = done["job_id"]
    if wait:
        job = wait_for_end(ask, job_id)
        ask.out.result(job, end_sentence(host, job), f"dormice job log {short(job_id)}")
        raise typer.Exit(0 if job["status"] in SUCCESSES else 1)
    moved = done["host_id"] != host["id"]
    where = find_host(ask.client, done["host_id"])["name"] if moved else host["name"]
    shares = f", which shares the repository of {host['name']}" if moved else ""
    waits = wanted.when_it_wakes and host["status"] != "online" and not moved
    said = f"{where}: {wanted.kind} {'waits until it wakes' if waits else 'requested'}{shares}"
    step = "dormice jobs --watch" if waits else f"dormice job log {short(job_id)} --follow"
    ask.out.result(done, f"{said}, job {short(job_id)}", step)


def request(client: Client, host: Row, wanted: Wanted) -> Row:
    """Return {job_id, host_id}. Raises: as `start_job`."""
    body: dict[str, Any] = {"kind": wanted.kind, "when_it_wakes": wanted.when_it_wakes}
    if wanted.arguments:
        body["arguments"] = wanted.arguments
    group = _group_of(client, host, wanted)
    if group is not None:
        body["source_group_id"] = group["id"]
    try:
        done: Row = client.post(f"/hosts/{host['id']}/jobs", body)
    except RemoteError as error:
        steps = {
            "no_repository": f"dormice repository set {host['name']} LOCATION",
            "not_connected": "the same with --when-it-wakes",
            "no_retention": f"dormice group keep {host['name']} GROUP daily=7 weekly=4",
        }
        raise advised(error, steps) from None
    return done


def _group_of(client: Client, host: Row, wanted: Wanted) -> Row | None:
    """Return the source group that a job is about; the only one need not be named."""
    if wanted.group is not None and wanted.kind not in MAY_HAVE_GROUP:
        raise BadCommand(f"{wanted.kind} is about the whole repository; leave --group out")
    if wanted.kind in NEEDS_GROUP:
        return choose_group(host, parts_of(client, host, "source-groups"), wanted.group)
    if wanted.group is None:
        return None
    return find_part(parts_of(client, host, "source-groups"), wanted.group, "source group")


# -- snapshots -------------------------------------------------------------------------------------


def list_now(ask: Ask, word: str, group: str | None, *, all_hosts: bool) -> None:
    """Have the host list its snapshots, and wait for that; one that is away shows its last list."""
    host = find_host(ask.client, word)
    arguments = {"all_hosts": True} if all_hosts else {}
    try:
        done = request(ask.client, host, Wanted("snapshots", group, arguments))
    except RemoteError as error:
        if error.code != "not_connected":
            raise
        warn(f"{host['name']} is not connected: this is the last list")
        return
    job = wait_for_end(ask, done["job_id"])
    if job["status"] not in SUCCESSES:
        raise Conflict(f"the snapshots could not be listed: {job['error'] or job['status']}")


def fetch_snapshots(client: Client, word: str) -> Listing:
    """Return a host's snapshots as they were listed last. Raises: NotFound."""
    host = find_host(client, word)
    try:
        found = client.get(f"/hosts/{host['id']}/snapshots")
    except RemoteError as error:
        if error.code != "not_found":
            raise
        raise NotFound(f"{host['name']}: {error.message}") from None
    as_of = moment(found["as_of"])
    age = since(as_of, SystemClock().now()) if as_of else ""
    first = found["items"][0]["id"][:8] if found["items"] else "latest"
    step = f"dormice restore {host['name']} {first} --to /tmp/restored"
    return Listing(snapshot_table(), found["items"], f"{found['total']} as of {age}", step)


def snapshot_table() -> Table:
    columns = (
        Column("SNAPSHOT", lambda one: str(one["id"])[:8]),
        Column("MADE", lambda one: str(one["time"])[:16].replace("T", " "), keep=8),
        Column("HOST", lambda one: str(one["hostname"]), keep=4, least=8),
        Column("GROUP", lambda one: ", ".join(one["tags"]), keep=6, least=6),
        Column("PATHS", _paths, keep=5, least=10),
        Column("ID", lambda one: str(one["id"]), keep=1, wide=True),
    )
    return Table(columns, SNAPSHOT_FIELDS, "No snapshot.")


def _paths(one: Row) -> str:
    more = one["paths_total"] - len(one["paths"])
    return " ".join(one["paths"]) + (f" and {more} more" if more > 0 else "")
