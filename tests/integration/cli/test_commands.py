"""Every command against a real `dormice up`: its text, its JSON, its errors."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.integration.cli.conftest import ROOT, Agents, Cli

pytestmark = pytest.mark.usefixtures("agents")


def test_hosts_show_state_and_mode_in_80_columns(cli: Cli) -> None:
    text = cli.good("hosts")
    assert "● online" in text
    assert "☾ asleep" in text
    assert "intermittent" in text or "may sleep" in text
    assert "24×7" in text
    assert "3 hosts: 2 online, 1 asleep" in text
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_hosts_take_the_query_of_the_page(cli: Cli) -> None:
    found = json.loads(cli.good("hosts", "state:asleep", "mode:intermittent", "--json"))
    assert [host["name"] for host in found] == ["laptop-7"]
    assert "No host matches." in cli.good("hosts", "tag:nowhere")
    assert "colour" in cli.bad("hosts", "colour:red")


def test_hosts_as_csv_wide_and_ascii(cli: Cli) -> None:
    rows = list(csv.DictReader(io.StringIO(cli.good("hosts", "--csv", "--sort", "-name"))))
    assert [row["name"] for row in rows] == ["web-3", "laptop-9", "laptop-7"]
    assert rows[0]["always_on"] == "true"
    assert "linux/amd64" in cli.good("hosts", "--wide")
    plain = cli("hosts", PYTHONUTF8="0", PYTHONIOENCODING="ascii", LC_ALL="C").stdout
    assert plain.isascii()
    assert "z asleep" in plain


def test_watch_shows_changes_until_it_is_interrupted(cli: Cli) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "hosts", "web-3", "--watch"], cwd=ROOT,
        env=cli.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert "web-3" in "".join(lines)
    assert (process.returncode, said) == (0, "")


def test_r19_why_says_what_was_decided(cli: Cli) -> None:
    text = cli.good("why", "laptop-7")
    assert text.startswith("laptop-7 is asleep (intermittent), last seen ")
    assert "(R4)" in text
    assert "when it wakes" in text
    story = json.loads(cli.good("why", "laptop-7", "--json"))
    assert {"presence", "alerting"} <= {one["service"] for one in story["decisions"]}


def test_a_host_is_found_by_its_beginning_or_its_id(cli: Cli) -> None:
    web = json.loads(cli.good("host", "show", "web", "--json"))
    assert json.loads(cli.good("host", "show", web["id"], "--json"))["name"] == "web-3"
    assert "web-3" in cli.good("host", "show", web["id"][-8:].lower())
    said = cli.bad("host", "show", "lap")
    assert "laptop-7" in said
    assert "laptop-9" in said
    assert "no host is called 'nobody'" in cli.bad("why", "nobody")
    assert "no host is called" in cli.bad("why", "../hosts")


def test_check_says_ok_in_one_line(cli: Cli) -> None:
    assert cli.good("check").startswith("ok: 3 hosts")
    assert json.loads(cli.good("check", "--json"))["status"] == "ok"
    away = cli("check", "--url", "http://127.0.0.1:1", DORMICE_TOKEN="x")
    assert away.returncode == 2
    assert away.stdout.startswith("failing: nothing listens on http://127.0.0.1:1")


def test_up_and_run_warn_once_of_a_variable_that_nothing_reads(cli: Cli) -> None:
    log = (cli.data / "dormice.log").read_text("utf-8")
    assert log.count('"variables": "DORMICE_NOBODY"') == 1
    said = cli.bad("run", "jobs")
    assert said.count('"variables": "DORMICE_NOBODY"') == 1
    assert said.splitlines()[-1].startswith("dormice: DORMICE_NATS_URL: ")


def test_nothing_listens_wrong_token_not_the_api(cli: Cli) -> None:
    elsewhere = cli("hosts", "--url", "http://127.0.0.1:1", DORMICE_TOKEN="x")
    assert elsewhere.returncode == 1
    assert elsewhere.stderr.count("\n") == 1
    assert "http://127.0.0.1:1" in elsewhere.stderr
    assert "dormice up" in elsewhere.stderr
    assert "token" in cli("hosts", DORMICE_TOKEN="wrong").stderr
    gateway = (cli.data / "gateway.url").read_text().strip()
    assert "is not Dormice's API" in cli("hosts", "--url", gateway, DORMICE_TOKEN="x").stderr


def test_mode_rename_and_tags(cli: Cli) -> None:
    assert "laptop-9 is expected online 24×7" in cli.good("host", "mode", "laptop-9", "always-on")
    changed = json.loads(cli.good("host", "mode", "laptop-9", "intermittent", "--json"))
    assert changed["always_on"] is False
    assert "say always-on or intermittent" in cli.wrong("host", "mode", "laptop-9", "sometimes")
    assert "laptop-9 is now ada" in cli.good("host", "rename", "laptop-9", "ada")
    assert "web-3" in cli.bad("host", "rename", "ada", "web-3")
    cli.good("host", "rename", "ada", "laptop-9")
    assert "laptop-9: paris, sales" in cli.good("host", "tag", "laptop-9", "paris", "sales")
    assert "laptop-9: sales" in cli.good("host", "tag", "laptop-9", "--remove", "paris")
    said = cli.wrong("host", "tag", "laptop-9", "+paris")
    assert said == "dormice: a tag has no sign: paris adds it, --remove paris takes it off\n"
    assert "--remove paris takes it off" in cli.wrong("host", "tag", "laptop-9", "--", "-paris")
    assert cli.good("host", "tag", "laptop-9") == "laptop-9: sales\n"
    assert "gets a new token" in cli.good("host", "rotate-token", "laptop-9")


def test_from_nothing_to_a_backup(cli: Cli) -> None:
    assert "no source group yet" in cli.bad("backup", "web-3")
    assert "next: dormice schedule add" in cli.good("group", "add", "web-3", "data", "/srv")
    said = cli.bad("backup", "web-3")
    step = "dormice repository set web-3 LOCATION"
    assert said == f"dormice: The host has no repository yet; next: {step}\n"
    made = cli.good("schedule", "add", "web-3", "0 2 * * *", "--group", "data", "--name", "daily")
    assert "first on " in made
    said = cli.good("repository", "set", "web-3", "/srv/repo", stdin="hush-hush\n")
    assert "hush-hush" not in said
    assert "web-3: backup succeeded" in cli.good("backup", "web-3", "--wait")
    (group,) = json.loads(cli.good("group", "list", "web-3", "--json"))
    assert group["last_run_status"] == "succeeded"
    assert "data" in cli.good("group", "list", "web-3")
    assert "daily" in cli.good("schedule", "list", "web-3")
    assert "is disabled" in cli.good("schedule", "disable", "web-3", "daily")
    assert "is enabled" in cli.good("schedule", "enable", "web-3", "daily")
    assert "five fields" in cli.bad("schedule", "add", "web-3", "not a cron", "-g", "data")
    assert "there is: data" in cli.bad("schedule", "add", "web-3", "0 2 * * *", "-g", "nope")
    cli.good("schedule", "remove", "web-3", "daily")
    page = cli.good("host", "show", "web-3")
    assert "succeeded" in page
    assert max(map(cell_len, page.splitlines())) <= 80


def test_a_group_is_removed_with_a_word_on_schedules_that_never_run_then(cli: Cli) -> None:
    for name in ("old", "other"):
        cli.good("group", "add", "web-3", name, f"/{name}")
    cli.good("schedule", "add", "web-3", "0 3 * * *", "-g", "old", "--name", "nightly")
    cli.good("schedule", "add", "web-3", "0 4 * * *", "-g", "old", "-g", "other", "--name", "both")
    assert "say --yes" in cli.bad("group", "remove", "web-3", "old")
    said = " ".join(cli.good("group", "remove", "web-3", "old", "--yes").split())
    assert said == (
        "web-3: group old is removed; schedule nightly never runs now: nothing is left to back up "
        "next: dormice schedule remove web-3 nightly"
    )
    assert "schedule nightly is removed" in cli.good("schedule", "remove", "web-3", "nightly")
    cli.good("schedule", "remove", "web-3", "both")
    gone = json.loads(cli.good("group", "remove", "web-3", "other", "--yes", "--json"))
    assert gone["idle_schedule_ids"] == []


def test_jobs_their_log_and_cancelling(cli: Cli) -> None:
    cli.good("group", "add", "laptop-7", "home", "/home")
    cli.good("repository", "set", "laptop-7", "/srv/repo", "--password-file", "-", stdin="pw\n")
    said = cli.bad("backup", "laptop-7")
    step = "dormice backup laptop-7 --when-it-wakes"
    assert said == f"dormice: The host is not connected; next: {step}\n"
    waits = cli.good("backup", "laptop-7", "--when-it-wakes")
    assert "laptop-7 backs up when it wakes: home" in waits
    (job,) = json.loads(cli.good("jobs", "--host", "laptop-7", "--json"))
    assert job["host_name"] == "laptop-7"
    assert "waits for the host" in cli.good("jobs", "--host", "laptop-7", "--wide")
    cli.good("job", "log", job["id"])
    assert set(json.loads(cli.good("job", "log", job["id"][-8:], "--json"))) == {"text", "complete"}
    assert "is being stopped" in cli.good("job", "cancel", job["id"][-8:])
    assert "cancelled" in cli.good("jobs", "--host", "laptop-7")
    assert "no recent job" in cli.bad("job", "log", "ffffffff")
    assert "status" in cli.bad("jobs", "--status", "sleepy")


def test_alerts_taken_and_ended(cli: Cli, agents: Agents) -> None:
    assert "Nothing needs you." in cli.good("alerts", "--host", "laptop-9")

    async def fail(agent: object, run: dict[str, str]) -> None:
        web = agents.by_name["web-3"]
        await web.accept(run["job_id"])
        await web.start(run["job_id"])
        await web.finish(run["job_id"], "failed", error="the disk is full")

    cli("group", "add", "web-3", "etc", "/etc")
    cli.good("repository", "set", "web-3", "/srv/repo", stdin="pw\n")
    agents.by_name["web-3"].script, before = fail, agents.by_name["web-3"].script
    failed = cli("backup", "web-3", "--group", "etc", "--wait")
    agents.by_name["web-3"].script = before
    assert failed.returncode == 1
    assert "the disk is full" in failed.stdout
    (alert,) = json.loads(cli.good("alerts", "--json"))
    assert alert["kind"] == "backup_failed"
    text = cli.good("alerts")
    assert "▲ open" in text
    assert f"next: dormice alert ack {alert['id'][-8:]}" in text
    assert "▲ backup failed" in cli.good("hosts", "--wide")
    degraded = cli("check")
    assert degraded.returncode == 1
    assert degraded.stdout.startswith("degraded: web-3: ")
    assert "acknowledged: web-3" in cli.good("alert", "ack", "web-3", "--note", "on it")
    assert json.loads(cli.good("alerts", "--state", "acknowledged", "--json"))[0]["note"] == "on it"
    assert "already acknowledged by " in cli.bad("alert", "ack", alert["id"][-8:])
    assert "resolved: web-3" in cli.good("alert", "resolve", alert["id"][-8:])
    assert "no open alert" in cli.bad("alert", "resolve", alert["id"])
    assert "resolved" in cli.good("alerts", "--state", "all")
    assert "no open alert" in cli.bad("alert", "ack", "web-3")
    calm = cli.good("check")
    assert calm.startswith("ok: 3 hosts: ")
    assert "1 to look at, no alert counts: dormice hosts is:attention" in calm
    assert "need" not in calm
    assert "web-3" in cli.good("hosts", "is:attention")
    assert re.search(r"failed +web-3 .*  etc  ", cli.good("jobs", "--host", "web-3", "--wide"))
    story = cli.good("why", "web-3", "--limit", "200")
    assert "backup failed is over: an operator resolved it" in " ".join(story.split())
    assert "backup failed raised: to nobody, there is no channel" in " ".join(story.split())
    assert "its agent reports its version" in " ".join(story.split())
    assert not re.search(r"backup_failed|agent_version|host enrolled  host enrolled", story)


def test_silences_made_listed_and_ended(cli: Cli) -> None:
    assert "No silence" in cli.good("silence", "list")
    text = cli.good("silence", "add", "--host", "web-3", "--for", "3h", "--reason", "new disks")
    assert "silenced: web-3, until " in text
    words = ("--tag", "lab", "--kind", "stale_schedule", "--from", "2031-01-01T22:00")
    assert "within 366 days" in cli.bad("silence", "add", *words, "--for", "1d")
    assert "is no moment" in cli.wrong("silence", "add", "--tag", "lab", "--to", "tomorrow")
    backwards = ("--from", "2030-01-02T00:00", "--to", "2030-01-01T00:00")
    assert "must end after it begins" in cli.bad("silence", "add", "--tag", "lab", *backwards)
    assert "must not contain a comma" in cli.bad("silence", "add", "--tag", "a,b", "--for", "1h")
    assert "say until when" in cli.wrong("silence", "add", "--tag", "lab")
    assert "say what to silence" in cli.wrong("silence", "add", "--for", "3h")
    assert "no host is called" in cli.bad("silence", "add", "--host", "nobody", "--for", "3h")
    (made,) = json.loads(cli.good("silence", "list", "--json"))
    assert (made["state"], made["reason"]) == ("active", "new disks")
    shown = cli.good("silence", "list")
    assert "web-3" in shown
    assert "new disks" in shown
    assert f"next: dormice silence end {made['id'][-8:]}" in text
    assert "ended: web-3" in cli.good("silence", "end", made["id"][-8:])
    assert "no current silence" in cli.bad("silence", "end", made["id"][-8:])
    assert "over" in cli.good("silence", "list", "--all")
    words = ("--tag", "lab", "--weekly", "sun,sat 22:00-06:00", "--zone", "Europe/Berlin")
    said = " ".join(cli.good("silence", "add", *words, "--until-ended").split())
    assert "hosts tagged lab, sat, sun 22:00–06:00 Europe/Berlin, until it is ended" in said
    assert "is no weekly time" in cli.wrong(
        "silence", "add", "--tag", "lab", "--weekly", "often", "--for", "1d"
    )
    assert "only a weekly" in cli.bad("silence", "add", "--tag", "lab", "--until-ended")
    assert "until ended" in cli.good("silence", "list")
    (made,) = json.loads(cli.good("silence", "list", "--json"))
    cli.good("silence", "end", made["id"][-8:])


def test_thresholds_set_listed_and_taken_away(cli: Cli) -> None:
    text = cli.good("threshold", "list")
    assert "fleet" in text
    assert "next: dormice threshold set" in text
    said = cli.good("threshold", "set", "--tag", "paris", "--offline", "5m", "--stale", "3d")
    assert "tag paris: offline 5m0s, stale 3d0h0m" in said
    cli.good("threshold", "set", "--mode", "always-on", "--offline", "1h")
    rows = json.loads(cli.good("threshold", "list", "--json"))
    assert [(row["scope"], row["name"], row["offline"]) for row in rows[1:]] == [
        ("mode", "always_on", "1h0m0s"), ("tag", "paris", "5m0s")
    ]  # fmt: skip
    assert "tag paris" in cli.good("threshold", "list")
    assert "offline 1h0m0s (mode:always_on)" in cli.good("host", "show", "web-3")
    assert "offline 2h0m0s (host)" in cli.good("threshold", "set", "--host", "web-3",
                                              "--offline", "2h")  # fmt: skip
    assert "offline 1h0m0s (mode:always_on)" in cli.good("threshold", "clear", "--host", "web-3")
    said = cli.good("threshold", "set", "--tag", "paris", "--stale", "default")
    assert "tag paris: offline 5m0s, stale default" in said
    for words, why in (
        (("--offline", "5m"), "one of --host, --tag, --mode"),
        (("--tag", "a", "--host", "web-3", "--offline", "5m"), "one of --host, --tag, --mode"),
        (("--tag", "a"), "--offline, --stale or --missed"),
    ):
        assert why in cli.wrong("threshold", "set", *words)
    for words, why in (
        (("--tag", "a", "--offline", "1m"), "at least 1m30s"),
        (("--tag", "a", "--offline", "0s"), "at least 1m30s"),
        (("--tag", "a", "--offline=-5m"), "is not a duration"),
        (("--tag", "a", "--stale", "0s"), "at least 1s"),
        (("--tag", "a", "--stale", "3650d"), "less than 10 years"),
        (("--tag", "a,b", "--stale", "3d"), "must not contain a comma"),
        (("--mode", "tired", "--stale", "3d"), "mode"),
    ):
        assert why in cli.bad("threshold", "set", *words)
    cli.good("threshold", "clear", "--tag", "paris")
    assert "tag paris has no thresholds" in cli.bad("threshold", "clear", "--tag", "paris")
    cli.good("threshold", "clear", "--mode", "always-on")


def test_events_from_the_bus(cli: Cli) -> None:
    text = cli.good("events", "--last", "1000")
    assert "presence.offline" in text
    assert "laptop-7" in text
    assert max(map(cell_len, text.splitlines())) <= 80
    lines = cli.good("events", "-s", "dormice.presence.>", "--json").splitlines()
    types = {json.loads(line)["type"] for line in lines}
    assert types == {"dormice.presence.online.v1", "dormice.presence.offline.v1"}
    url = cli.good("bus-url", "reader").strip()
    seen = cli("events", "--json", DORMICE_NATS_URL=url).stdout
    assert "dormice.presence.offline.v1" in seen
    assert "dormice.agent" not in seen
    away = cli.bad("events", "--bus", "nats://reader:hush@127.0.0.1:1")
    assert "cannot reach the bus at 127.0.0.1:1: " in away
    assert away.count("\n") == 1
    assert "hush" not in away


def test_following_events_shows_what_comes(cli: Cli) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "events", "-f", "-n", "1"], cwd=ROOT, env=cli.environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    cli.good("host", "tag", "laptop-9", "followed")
    while "host.changed" not in (line := process.stdout.readline()):
        assert line
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_r20_enrollment_tokens_and_setup_codes_alone_are_on_stdout(cli: Cli) -> None:
    done = cli("enroll-token", "--intermittent", "--tag", "paris", "--uses", "2", "--expires", "2h")
    assert len(done.stdout.split()) == 1
    assert done.stdout.strip() not in done.stderr
    assert "good 2 times" in done.stderr
    assert (cli.data / "gateway.url").read_text().strip() in done.stderr
    assert "token" in json.loads(cli.good("enroll-token", "--json"))
    assert "expires_in" in cli.bad("enroll-token", "--expires", "soon")
    code = cli("setup-code")
    assert len(code.stdout.split()) == 1
    assert "/setup" in code.stderr


def test_doctor_finds_a_running_up(cli: Cli) -> None:
    text = cli.good("doctor")
    assert "running on" in text
    assert "0 failed" in text
    assert {one["state"] for one in json.loads(cli.good("doctor", "--json"))} <= {"ok", "warn"}
    wrong = cli("doctor", DORMICE_STALE_AFTER="soon")
    assert wrong.returncode == 1
    assert "DORMICE_STALE_AFTER" in wrong.stdout


def test_removing_a_host_needs_a_yes(cli: Cli, agents: Agents) -> None:
    agents.do(agents.join("brief", always_on=False))
    assert "--yes" in cli.bad("host", "remove", "brief")
    assert "brief is removed" in cli.good("host", "remove", "brief", "--yes")
    assert "no host is called" in cli.bad("host", "show", "brief")


def test_a_wrong_command_line_is_one_line(cli: Cli) -> None:
    for words in (
        ("fly",),
        ("hosts", "--fly"),
        ("host", "mode", "web-3"),
        ("jobs", "--limit", "0"),
    ):
        done = cli(*words)
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.startswith("dormice: ")
        assert "--help`" in done.stderr
    assert cli().returncode == 2
    assert cli.good("--version").startswith("dormice ")


def test_what_nobody_expected_is_one_line(cli: Cli, tmp_path: Path) -> None:
    """A data directory whose files are something else: no traceback, whatever it is."""
    (tmp_path / "ui.url").mkdir()
    (tmp_path / "nats.url").write_bytes(b"\xff")
    for words in (("hosts",), ("bus-url", "reader"), ("events",)):
        done = cli(*words, "--data", str(tmp_path))
        assert done.returncode == 1, done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.startswith("dormice: ")


def test_a_reader_that_leaves_early_is_no_fault(cli: Cli) -> None:
    for command in ("hosts --csv", "events -n 1000 --json"):
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m cli {command} | true"], cwd=ROOT,
            env=cli.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")


def test_help_of_everything_is_there() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "schedule", "add", "--help"], cwd=ROOT, env=dict(os.environ),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Examples:" in done.stdout
