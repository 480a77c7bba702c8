"""What existing configuration comes to: calendars, restic lines, crontabs, profiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.adopt.calendar import Timed, cron_of
from cli.adopt.crontab import read_crontab
from cli.adopt.plan import Repository, without_password
from cli.adopt.restic_line import commands_in
from cli.adopt.resticprofile import parse, read_profiles
from libs.common.errors import BadInput


@pytest.mark.parametrize(
    ("calendar", "cron"),
    [
        ("daily", "0 0 * * *"),
        ("weekly", "0 0 * * 1"),
        ("02:30", "30 2 * * *"),
        ("*-*-* 02:30:00", "30 2 * * *"),
        ("Mon..Fri 09:15", "15 9 * * 1,2,3,4,5"),
        ("Sat..Mon *-*-* 04:00", "0 4 * * 0,1,6"),
        ("Sun 03:00", "0 3 * * 0"),
        ("Mon,Wed,Friday 10:00", "0 10 * * 1,3,5"),
        ("*-*-01 04:00", "0 4 1 * *"),
        ("*-1,7-15 00:05", "5 0 15 1,7 *"),
        ("*:0/15", "*/15 * * * *"),
        ("*:5/20", "5-59/20 * * * *"),
        ("9..17:00", "0 9-17 * * *"),
        ("*-*-* *:00:00", "0 * * * *"),
        pytest.param("2026-01-01 00:00", None, id="once in a certain year"),
        pytest.param("*-*~1 00:00", None, id="the last day of a month"),
        pytest.param("Fri *-*-13 09:00", None, id="both day and weekday"),
        pytest.param("02:30:15", None, id="seconds"),
        pytest.param("30:00", None, id="no such hour"),
        pytest.param("*-02-30 00:00", None, id="never"),
        pytest.param("someday", None, id="a word"),
        pytest.param("1:2:3:4", None, id="too many parts"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_calendar(calendar: str, cron: str | None) -> None:
    found = cron_of(calendar)
    assert (found.cron if found else None) == cron


def test_a_calendar_with_a_zone() -> None:
    assert cron_of("02:30 Europe/Paris") == Timed("30 2 * * *", "Europe/Paris")


def test_restic_in_a_line_of_shell() -> None:
    line = (
        "RESTIC_PASSWORD_FILE=/etc/pw nice /usr/bin/restic -q -r sftp:nas:/r backup --tag docs "
        "--exclude='*.tmp' -e /x '/srv/a b' /etc "
        "&& restic forget --keep-daily 7 --prune > /dev/null"
    )
    backup, forget = commands_in(line)
    assert (backup.name, backup.paths) == ("backup", ["/srv/a b", "/etc"])
    assert backup.options["repo"] == ["sftp:nas:/r"]
    assert backup.options["exclude"] == ["*.tmp", "/x"]
    assert backup.variables == {"RESTIC_PASSWORD_FILE": "/etc/pw"}
    assert forget.options == {"keep-daily": ["7"], "prune": []}
    assert commands_in("echo 'unclosed") == []
    assert commands_in("/usr/local/bin/restic-backup.sh") == []


CRONTAB = r"""
# m h dom mon dow command
RESTIC_REPOSITORY=rest:https://joe:hush@nas/joe
RESTIC_PASSWORD_FILE = "/etc/restic/pw"
0 2 * * * restic backup -e *.cache /home /etc && restic forget --keep-daily 7 --keep-within 30d
@weekly restic backup --tag media /srv/media
0 3 * * * restic backup --files-from /etc/list
30 4 * * 0 /usr/local/bin/restic-everything.sh
61 2 * * * restic backup /var
0 5 * * * tar -cf /x /y
@reboot restic backup /opt
"""


def test_crontab() -> None:
    plan = read_crontab(CRONTAB, with_users=False)
    assert [(one.name, one.includes, one.excludes) for one in plan.groups] == [
        ("home", ("/home", "/etc"), ("*.cache",)), ("media", ("/srv/media",), ()),
        ("var", ("/var",), ()), ("opt", ("/opt",), ()),
    ]  # fmt: skip
    assert plan.groups[0].retention == {"keep_daily": 7, "keep_within": "30d"}
    assert [(one.group, one.cron) for one in plan.schedules] == [
        ("home", "0 2 * * *"), ("media", "@weekly"),
    ]  # fmt: skip
    assert plan.repositories == [
        Repository("rest:https://joe:hush@nas/joe", Path("/etc/restic/pw"))
    ]
    said = "\n".join(plan.notes)
    for part in ("line 7: --files-from", "line 8: /usr/local", "line 9: 61 2", "line 11: @reboot"):
        assert part in said
    assert "tar" not in said


def test_a_crontab_of_the_system_names_users() -> None:
    plan = read_crontab("0 2 * * * root restic -r /r backup /etc", with_users=True)
    assert [one.includes for one in plan.groups] == [("/etc",)]
    assert plan.repositories == [Repository("/r")]


PROFILES = """
version: "1"
global: {default-command: snapshots}
base:
  repository: "local:/backup/restic"
  password-file: pw.txt
  retention: {after-backup: true, keep-daily: 7, keep-weekly: "4", keep-tag: [forever]}
docs:
  inherit: base
  run-before: systemctl stop db
  run-finally: [systemctl start db]
  backup:
    source: [/srv/docs, relative]
    exclude: ["*.tmp"]
    schedule: ["02:30", "someday"]
    exclude-file: /etc/excludes
  check: {schedule: weekly}
empty: {inherit: nobody, backup: {}}
"""


def test_profiles() -> None:
    plan = read_profiles(parse(PROFILES, "profiles.yaml"), Path("/etc/resticprofile"))
    (docs,) = plan.groups
    assert (docs.name, docs.includes, docs.excludes) == ("docs", ("/srv/docs",), ("*.tmp",))
    assert docs.retention == {"keep_daily": 7, "keep_weekly": 4}
    assert docs.hooks == {"before": "systemctl stop db", "after": "systemctl start db"}
    assert [one.cron for one in plan.schedules] == ["30 2 * * *"]
    assert plan.repositories == [Repository("/backup/restic", Path("/etc/resticprofile/pw.txt"))]
    said = "\n".join(plan.notes)
    for part in ("only absolute", "'someday'", "exclude-file", "check is not scheduled", "nobody"):
        assert part in said


def test_profiles_of_version_2_in_toml_and_a_ring_of_parents() -> None:
    text = """
version = "2"
[profiles.a]
inherit = "b"
[profiles.b]
inherit = "a"
repository = "s3:https://s3/{{ .Hostname }}"
[profiles.b.backup]
source = "/data"
schedule = { at = "daily" }
"""
    plan = read_profiles(parse(text, "profiles.toml"), Path())
    assert [one.includes for one in plan.groups] == [("/data",)], "the same folders are one group"
    assert [one.cron for one in plan.schedules] == ["0 0 * * *", "0 0 * * *"]
    assert plan.repositories == []
    assert "made of variables" in "\n".join(plan.notes)


@pytest.mark.parametrize(
    ("text", "name"),
    [("a: [", "p.yaml"), ("= 1", "p.toml"), ("{", "p.json"), ("[]", "p.json"), ("x", "p.hcl")],
)
def test_what_is_no_configuration(text: str, name: str) -> None:
    with pytest.raises(BadInput, match=r"p\.|configuration"):
        parse(text, name)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rest:https://joe:hush@nas:8000/joe", "rest:https://joe:***@nas:8000/joe"),
        ("sftp:nas:/r", "sftp:nas:/r"),
        ("/srv/restic", "/srv/restic"),
    ],
)
def test_r20_a_password_in_an_address_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
