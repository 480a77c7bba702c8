"""`dormice backup`: ask for a backup now, and wait for its end if wanted."""

from __future__ import annotations

import typer

from cli.advice import advised
from cli.finding import find_host, find_part, short
from cli.jobs import end_sentence, wait_for_end
from cli.options import Ask
from cli.parts import parts_of
from cli.table import Row
from libs.common.errors import BadInput, RemoteError

SUCCESSES = ("succeeded", "succeeded_with_warnings")


def run_backup(ask: Ask, word: str, group: str | None, *, when_it_wakes: bool, wait: bool) -> None:
    """Raises: NotFound, BadInput (which group?), RemoteError with what to do about it."""
    host = find_host(ask.client, word)
    chosen = choose_group(host, parts_of(ask.client, host, "source-groups"), group)
    job_id = _request(ask, host, chosen, when_it_wakes=when_it_wakes)
    if wait:
        job = wait_for_end(ask, job_id)
        ask.out.result(job, end_sentence(host, job), f"dormice job log {short(job_id)}")
        raise typer.Exit(0 if job["status"] in SUCCESSES else 1)
    waits = when_it_wakes and host["status"] != "online"
    begun = "backs up when it wakes" if waits else "is backing up"
    ask.out.result(
        {"job_id": job_id},
        f"{host['name']} {begun}: {chosen['name']}, job {short(job_id)}",
        "dormice jobs --watch" if waits else f"dormice job log {short(job_id)} --follow",
    )


def choose_group(host: Row, groups: list[Row], word: str | None) -> Row:
    """Return the wanted source group, or the only one. Raises: NotFound, BadInput."""
    if word is not None:
        return find_part(groups, word, "source group")
    if not groups:
        name = host["name"]
        raise BadInput(f"{name} has no source group yet: dormice group add {name} home /home")
    if len(groups) > 1:
        names = ", ".join(str(one["name"]) for one in groups)
        raise BadInput(f"{host['name']} has several source groups; say --group: {names}")
    return groups[0]


def _request(ask: Ask, host: Row, group: Row, *, when_it_wakes: bool) -> str:
    body = {"source_group_id": group["id"], "when_it_wakes": when_it_wakes}
    try:
        return str(ask.client.post(f"/hosts/{host['id']}/backup", body)["job_id"])
    except RemoteError as error:
        steps = {
            "no_repository": f"dormice repository set {host['name']} LOCATION",
            "not_connected": f"dormice backup {host['name']} --when-it-wakes",
        }
        raise advised(error, steps) from None
