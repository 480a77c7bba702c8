"""The list of jobs, a job's log, and waiting for a job's end."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping
from datetime import datetime

from cli import words
from cli.client import Client
from cli.finding import find_host, host_names, short
from cli.options import Ask
from cli.output import Listing, warn
from cli.table import Column, Row, Table
from cli.times import lasted, moment, since
from libs.common.clock import SystemClock
from libs.common.errors import RemoteError

POLL_SECONDS = 0.5
FIELDS = (
    "id", "host_id", "host_name", "kind", "status", "origin", "attempt", "schedule_id",
    "source_group_id", "fire_time", "created_at", "started_at", "finished_at", "exit_code", "error",
    "reason",
)  # fmt: skip


def fetch_jobs(
    client: Client, host: str | None, status: str | None, limit: int, *, wide: bool = False
) -> Listing:
    """Return jobs, the latest first; `wide`: ask for the names of their source groups, too."""
    host_id = find_host(client, host)["id"] if host else None
    rows = list(client.items("/jobs", limit, host_id=host_id, status=status))
    names = host_names(client, {str(job["host_id"]) for job in rows})
    named = [{**job, "host_name": names.get(job["host_id"], job["host_id"])} for job in rows]
    failed = next((job for job in rows if job["status"] == "failed"), None)
    step = f"dormice job log {short(failed['id'])}" if failed else ""
    groups = _group_names(client, rows) if wide else {}
    return Listing(job_table(SystemClock().now(), groups), named, "", step)


def _group_names(client: Client, jobs: list[Row]) -> dict[str, str]:
    """Return the names of the jobs' source groups by id; one that is gone has none."""
    hosts = sorted({str(job["host_id"]) for job in jobs if job["source_group_id"]})
    known: dict[str, str] = {}
    for host_id in hosts:
        with contextlib.suppress(RemoteError):  # The host is gone.
            items = client.get(f"/hosts/{host_id}/source-groups")["items"]
            known |= {group["id"]: group["name"] for group in items}
    return known


def job_table(now: datetime, groups: Mapping[str, str]) -> Table:
    """`groups`: names of source groups by id."""

    def group(job: Row) -> str:
        known = job["source_group_id"]
        return groups.get(known, short(known)) if known else ""

    columns = (
        Column("STATE", words.job_state),  # In whole words, whatever else there is.
        Column("HOST", lambda job: str(job["host_name"]), keep=8, least=12),
        Column("JOB", lambda job: str(job["kind"]), keep=4),
        Column("WHY", _why, keep=3),
        Column("CREATED", lambda job: _ago(job["created_at"], now), keep=6),
        Column("TOOK", lambda job: lasted(moment(job["started_at"]), moment(job["finished_at"])),
               keep=5),
        Column("PROGRESS", words.job_progress, keep=2, wide=True),
        Column("ERROR", lambda job: job["error"] or "", keep=2, least=10),
        Column("GROUP", group, keep=1, wide=True),
        Column("ID", lambda job: short(job["id"]), keep=9),
        Column("WHOLE ID", lambda job: str(job["id"]), keep=1, wide=True),
    )  # fmt: skip
    return Table(columns, FIELDS, "No job yet.")


def _why(job: Row) -> str:
    attempt = f" #{job['attempt']}" if job["attempt"] > 1 else ""
    return {"catchup": "catch-up"}.get(job["origin"], str(job["origin"])) + attempt


def _ago(text: str | None, now: datetime) -> str:
    at = moment(text)
    return since(at, now) if at else ""


def print_log(ask: Ask, job: Row, *, follow: bool) -> None:
    """Print a job's log; with `follow` what comes, until the job has ended."""
    path, shown = f"/jobs/{job['id']}/log", ""
    said = ask.client.get(path)
    if ask.as_json and not follow:
        ask.out.json(said)
        return
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            text = said["text"]
            _write(text[len(shown) :] if text.startswith(shown) else text)
            shown = text
            ended = said["complete"] or _has_ended(ask.client, job["id"])
            if not follow or (ended and said == ask.client.get(path)):
                break
            time.sleep(POLL_SECONDS)
            said = ask.client.get(path)
    if not shown:
        warn(f"no log yet: the job is {job['status']}")
    elif not shown.endswith("\n"):
        print()


def _has_ended(client: Client, job_id: str) -> bool:
    return client.get(f"/jobs/{job_id}")["status"] in words.JOB_ENDS


def _write(text: str) -> None:
    """Print what a job said, without its control characters: they could drive the terminal."""
    clean = "".join(one for one in text if one.isprintable() or one in "\n\t")
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(clean.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def wait_for_end(ask: Ask, job_id: str) -> Row:
    """Return the job once it has ended; what happens on the way is said on stderr."""
    before = ""
    while True:
        job: Row = ask.client.get(f"/jobs/{job_id}")
        state = " ".join((words.job_state(job)[2:], words.job_progress(job))).rstrip()
        if state != before and not ask.as_json:
            warn(f"  {state}")
            before = state
        if job["status"] in words.JOB_ENDS:
            return job
        time.sleep(POLL_SECONDS)


def end_sentence(host: Row, job: Row) -> str:
    """`laptop-7: backup succeeded in 41 s, 3.4 MiB added`."""
    took = lasted(moment(job["started_at"]), moment(job["finished_at"]))
    added = words.size((job["stats"] or {}).get("bytes_added"))
    text = f"{host['name']}: {job['kind']} {job['status'].replace('_', ' ')}"
    text += f" in {took}" if took else ""
    text += f", {added} added" if added else ""
    return f"{text}: {job['error']}" if job["error"] else text
