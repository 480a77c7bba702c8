"""`dormice channel` against a real `dormice up`: made, changed, listed, tested, removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.integration.cli.conftest import Cli

pytestmark = pytest.mark.usefixtures("agents")
SECRET = "canary-31f8"


def known(cli: Cli) -> dict[str, dict]:
    return {one["name"]: one for one in json.loads(cli.good("channel", "list", "--json"))}


def test_a_channel_s_life(cli: Cli) -> None:
    assert "No channel: nobody is told" in cli.good("channel", "list")
    made = cli.good("channel", "add", "ops", "webhook", "url=http://hook.invalid/x",
                    "--secret-file", "-", "--severity", "critical", "--host", "web-3",
                    stdin=f"{SECRET}\n")  # fmt: skip
    assert made.splitlines() == ["channel ops added", "next: dormice channel test ops"]
    assert known(cli)["ops"]["where"] == "http://hook.invalid/x"
    text = cli.good("channel", "list")
    assert "critical; web-3" in cli.good("channel", "list", "--wide")
    assert max(map(cell_len, text.splitlines())) <= 80
    failed = cli("channel", "test", "ops")
    assert failed.returncode == 1
    assert failed.stdout == "test to ops: waiting: the host name could not be resolved\n"
    assert "waiting: the host name" in cli.good("channel", "messages", "ops", "--wide")
    assert "in trouble" in cli.good("channel", "list")
    assert "say --yes" in cli.bad("channel", "remove", "ops")
    assert "channel ops removed" in cli.good("channel", "remove", "ops", "--yes")
    assert "no channel 'ops'" in cli.bad("channel", "test", "ops")


def test_every_type_can_be_made(cli: Cli, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(f"{SECRET}\n")
    url = tmp_path / "url"
    url.write_text(f"tgram://{SECRET}/x\n")
    secret = ("--secret-file", str(key))
    mail = ("host=mail.example", "sender=dormice@x.example", "to=a@x.example,b@x.example")
    cli.good("channel", "add", "mail", "smtp", *mail, "port=2525", "username=d", *secret)
    cli.good("channel", "add", "phone", "ntfy", "topic=backups", *secret)
    cli.good("channel", "add", "am", "alertmanager", "url=http://am.invalid:9093", *secret,
             "labels.team=ops")  # fmt: skip
    cli.good("channel", "add", "chat", "apprise", "--secret-file", str(url))
    found = known(cli)
    assert found["mail"]["where"] == "a@x.example, b@x.example by smtp://mail.example:2525"
    assert found["phone"]["where"] == "https://ntfy.sh/backups"
    assert (found["am"]["where"], found["chat"]["where"]) == ("http://am.invalid:9093", "tgram://")
    assert SECRET not in cli.good("channel", "list", "--json")
    for name in found:
        cli.good("channel", "remove", name, "--yes")


def test_hours_rate_and_filter_are_set_and_taken_away(cli: Cli) -> None:
    cli.good("channel", "add", "night", "webhook", "url=http://hook.invalid/", "--quiet",
             "22:00-07:00", "--quiet-days", "mon-fri", "--quiet-zone", "Europe/Berlin",
             "--rate", "10/15m", "--tag", "lab", "--kind", "check_failed")  # fmt: skip
    one = known(cli)["night"]
    assert one["quiet_hours"] == {
        "from": "22:00", "to": "07:00", "timezone": "Europe/Berlin",
        "days": ["mon", "tue", "wed", "thu", "fri"], "breaks_through": ["critical"],
    }  # fmt: skip
    assert one["rate_limit"] == {"messages": 10, "minutes": 15}
    assert one["filter"] == {"kinds": ["check_failed"], "tags": ["lab"]}
    said = "22:00-07:00 mon,tue,wed,thu,fri Europe/Berlin, over 10 in 15 min"
    assert said in cli.good("channel", "list", "--wide")
    cli.good("channel", "change", "night", "--break-through", "none", "--tag", "all",
             "--rate", "none", "--name", "late")  # fmt: skip
    one = known(cli)["late"]
    assert (one["quiet_hours"]["breaks_through"], one["quiet_hours"]["to"]) == ([], "07:00")
    assert (one["rate_limit"], one["filter"]) == (None, {"kinds": ["check_failed"]})
    cli.good("channel", "change", "late", "--quiet", "none", "url=http://other.invalid/")
    one = known(cli)["late"]
    assert (one["quiet_hours"], one["where"]) == (None, "http://other.invalid/")
    cli.good("channel", "remove", "late", "--yes")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("x", "pigeon"), "is no kind of channel"),
        (("x", "webhook"), "config.url"),
        (("x", "webhook", "url=ftp://x"), "must begin with http://"),
        (("x", "webhook", "url=http://h.invalid", "--quiet-days", "mon"), "say from when"),
        (("x", "webhook", "url=http://h.invalid", "--quiet", "22:00-25:00"), "quiet_hours"),
        (("x", "webhook", "url=http://h.invalid", "--host", "nobody"), "no host is called"),
        (("x", "webhook", "url=http://h.invalid", "--kind", "rain"), "filter"),
        (("x", "alertmanager", "url=http://h.invalid", "--rate", "1/1h"), "of its own"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(cli: Cli, words: tuple[str, ...], said: str) -> None:
    error = cli.bad("channel", "add", *words)
    assert said in error
    assert error.count("\n") == 1
    assert SECRET not in error
    assert known(cli) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("x", "webhook", "nonsense"), "write KEY=VALUE"),
        (("x", "webhook", "url=http://h.invalid", f"secret={SECRET}"), "never is an argument"),
        (("x", "apprise", f"url=tgram://{SECRET}"), "never is an argument"),
        (("x", "webhook", "url=http://h.invalid", "--quiet", "night"), "22:00-07:00"),
        (("x", "webhook", "url=http://h.invalid", "--quiet", "1:0-2:0", "--quiet-days", "never"),
         "is no day"),
        (("x", "webhook", "url=http://h.invalid", "--rate", "many"), "write a rate as 10/15m"),
        (("x", "webhook", "url=http://h.invalid", "--rate", "5/3s"), "write a rate as 10/15m"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_itself_is_one_line(cli: Cli, words: tuple[str, ...], said: str) -> None:
    error = cli.wrong("channel", "add", *words)
    assert said in error
    assert error.count("\n") == 1
    assert SECRET not in error
    assert known(cli) == {}
