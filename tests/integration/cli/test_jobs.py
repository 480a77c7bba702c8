"""Jobs of all kinds from the command line, against a real `dormice up` with scripted agents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.cli.conftest import Agents, Cli

pytestmark = pytest.mark.usefixtures("agents")

LISTED = {
    "snapshots": [
        {"id": "1a2b3c4d5e6f7081", "time": "2026-06-14T02:00:00.5Z", "hostname": "web-3",
         "tags": ["data"], "paths": ["/data"], "paths_total": 3},
        {"id": "ffff3c4d5e6f7081", "time": "2026-06-15T02:00:00.5Z", "hostname": "web-3",
         "tags": ["data"], "paths": ["/data"], "paths_total": 1},
    ],
    "total": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def told(cli: Cli, agents: Agents) -> list[dict[str, Any]]:
    """What the agent of web-3 was told to do, in order; it lists two snapshots."""
    seen: list[dict[str, Any]] = []
    web = agents.by_name["web-3"]

    async def script(_agent: object, run: dict[str, Any]) -> None:
        seen.append(run)
        await web.accept(run["job_id"])
        await web.start(run["job_id"])
        stats = LISTED if run["kind"] == "snapshots" else None
        await web.finish(run["job_id"], stats=stats)

    web.script = script
    cli.good("group", "add", "web-3", "data", "/data")
    cli.good("repository", "set", "web-3", "/srv/repo", stdin="pw\n")
    return seen


def test_job_start_does_each_kind(cli: Cli, told: list[dict[str, Any]]) -> None:
    text = cli.good("job", "start", "web-3", "check", "--wait")
    assert "web-3: check succeeded" in text
    assert told[-1]["kind"] == "check"
    assert "web-3: prune requested, job " in cli.good("job", "start", "web-3", "prune")
    started = cli.good("job", "start", "web-3", "unlock", "--json", "--when-it-wakes")
    assert set(json.loads(started)) == {"job_id", "host_id"}


def test_forget_needs_a_retention(cli: Cli, told: list[dict[str, Any]]) -> None:
    said = cli.bad("job", "start", "web-3", "forget", "--when-it-wakes")
    assert "has no retention" in said
    assert "next: dormice group keep web-3" in said
    kept = cli.good("group", "keep", "web-3", "data", "daily=7", "within=30d")
    assert "a forget of data keeps daily=7 within=30d" in kept
    assert "forget succeeded" in cli.good(
        "job", "start", "web-3", "forget", "--group", "data", "--wait", "--when-it-wakes"
    )
    assert told[-1]["source_group_id"]
    assert "is no rule" in cli.wrong("group", "keep", "web-3", "data", "daily")
    made = json.loads(
        cli.good("group", "add", "web-3", "etc", "/etc", "--keep", "daily=7", "--json")
    )
    assert made["retention"] == {"keep_daily": 7}
    cli.good("group", "remove", "web-3", "etc", "--yes")


def test_snapshots_are_asked_for_and_shown(cli: Cli, told: list[dict[str, Any]]) -> None:
    text = cli.good("snapshots", "web-3")
    assert told[-1]["kind"] == "snapshots"
    lines = text.splitlines()
    assert "ffff3c4d" in lines[1]
    assert "2026-06-14 02:00" in lines[2]
    assert "/data and 2 more" in lines[2]
    assert "2 as of " in text
    assert "next: dormice restore web-3 ffff3c4d --to" in text
    count = len(told)
    assert len(json.loads(cli.good("snapshots", "web-3", "--last", "--json"))) == 2
    assert len(told) == count, "--last asks nobody"
    assert "never listed" in cli.bad("snapshots", "laptop-9", "--last")


def test_restore(cli: Cli, told: list[dict[str, Any]]) -> None:
    words = ("restore", "web-3", "latest", "--to", "/tmp/back")
    assert "restore succeeded" in cli.good(*words, "--path", "/data/a", "--wait")
    assert told[-1]["arguments"] == {
        "snapshot": "latest", "target": "/tmp/back", "paths": ["/data/a"],
    }  # fmt: skip
    assert "must be an absolute path" in cli.bad("restore", "web-3", "latest", "--to", "back")
    assert "hexadecimal" in cli.bad("restore", "web-3", "newest", "--to", "/back")


def test_what_makes_no_sense_is_one_line(cli: Cli, told: list[dict[str, Any]]) -> None:
    assert "is no kind of job" in cli.wrong("job", "start", "web-3", "defragment")
    assert "whole repository" in cli.wrong("job", "start", "web-3", "check", "--group", "data")
    assert "no source group" in cli.bad("job", "start", "web-3", "forget", "--group", "nope")
    step = "dormice repository set laptop-9 LOCATION"
    said = f"dormice: The host has no repository yet; next: {step}\n"
    assert cli.bad("job", "start", "laptop-9", "check") == said
    assert cli.bad("snapshots", "laptop-9") == said
    assert told
