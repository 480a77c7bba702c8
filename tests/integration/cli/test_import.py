"""Taking over a crontab and profiles, from the command line into a real `dormice up`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Cli

pytestmark = pytest.mark.usefixtures("agents")

LINE = "0 2 * * * restic -r rest:http://joe:hush@nas/r -p {} backup /srv/mail -e *.tmp\n"


@pytest.fixture
def crontab(tmp_path: Path) -> Path:
    password = tmp_path / "pw"
    password.write_text("canary-4711\n")
    file = tmp_path / "crontab"
    file.write_text(LINE.format(password))
    return file


def test_a_plan_is_shown_and_changes_nothing(cli: Cli, crontab: Path) -> None:
    text = cli.good("import", "crontab", str(crontab), "--host", "laptop-9")
    assert "group       srv-mail: /srv/mail without *.tmp" in text
    assert "schedule    0 2 * * *: srv-mail" in text
    assert "rest:http://joe:***@nas/r, password in" in text
    assert "next: the same with --host laptop-9 --apply" in text
    assert "hush" not in text
    assert "canary" not in text
    assert "No source group" in cli.good("group", "list", "laptop-9")
    plan = json.loads(cli.good("import", "crontab", "-", "--json", stdin=crontab.read_text()))
    assert plan["source_groups"][0]["includes"] == ["/srv/mail"]
    assert "--host HOST" in cli.wrong("import", "crontab", str(crontab), "--apply")


def test_it_is_taken_over_once(cli: Cli, crontab: Path) -> None:
    words = ("import", "crontab", str(crontab), "--host", "laptop-9", "--apply")
    said = cli.good(*words)
    assert "took over group srv-mail, schedule 0 2 * * *, repository" in said
    assert "laptop-9 has all of it already" in cli.good(*words)
    (group,) = json.loads(cli.good("group", "list", "laptop-9", "--json"))
    assert (group["name"], group["excludes"]) == ("srv-mail", ["*.tmp"])
    (schedule,) = json.loads(cli.good("schedule", "list", "laptop-9", "--json"))
    assert (schedule["cron"], schedule["source_group_ids"]) == ("0 2 * * *", [group["id"]])
    assert json.loads(cli.good("host", "show", "laptop-9", "--json"))["has_repository"] is True


def test_a_repository_without_its_password_is_said_to_be_left(cli: Cli) -> None:
    line = "0 2 * * * restic -r /srv/r backup /srv/mail\n"
    words = ("import", "crontab", "-", "--host", "laptop-7", "--apply")
    said = " ".join(cli.good(*words, stdin=line).split())
    assert "took over group srv-mail, schedule 0 2 * * *; not its repository /srv/r: " in said
    assert said.endswith("next: dormice repository set laptop-7 /srv/r")
    assert "laptop-7 has all the rest already; not its" in cli.good(*words, stdin=line)
    cli.good("repository", "set", "laptop-7", "/srv/r", stdin="pw\n")
    assert "laptop-7 has all of it already" in cli.good(*words, stdin=line)


def test_profiles_and_what_makes_no_sense(cli: Cli, tmp_path: Path) -> None:
    profiles = tmp_path / "profiles.toml"
    profiles.write_text('[docs.backup]\nsource = "/docs"\nschedule = "daily"\n')
    text = cli.good("import", "resticprofile", str(profiles), "--host", "web-3", "--apply")
    assert "took over group docs, schedule 0 0 * * *" in text
    profiles.write_text("[")
    assert "cannot be read" in cli.bad("import", "resticprofile", str(profiles))
    assert "cannot read" in cli.bad("import", "crontab", str(tmp_path / "nothing"))
    empty = cli.good("import", "crontab", "-", stdin="# nothing\n")
    assert "nothing was found" in empty
    two = "0 1 * * * restic -r /a backup /x\n0 1 * * * restic -r /b backup /y\n"
    refused = cli.bad("import", "crontab", "-", "--host", "web-3", "--apply", stdin=two)
    assert "a host has one repository" in refused
