"""`dormice operator` and `dormice token` against a real `dormice up`."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from rich.cells import cell_len

from tests.integration.cli.conftest import ROOT, Cli

PASSWORD = "canary correct horse"
OTHER = "canary another horse"


def operators(cli: Cli) -> dict[str, dict]:
    return {one["name"]: one for one in json.loads(cli.good("operator", "list", "--json"))}


def tokens(cli: Cli) -> dict[str, dict]:
    return {one["name"]: one for one in json.loads(cli.good("token", "list", "--json"))}


LogIn = Callable[[str, str], httpx.Client]


@pytest.fixture
def log_in(cli: Cli) -> Iterator[LogIn]:
    """Give a browser's client, logged in if the password is right."""
    with contextlib.ExitStack() as end:

        def enter(name: str, password: str) -> httpx.Client:
            url = (cli.data / "ui.url").read_text().strip()
            client = end.enter_context(httpx.Client(base_url=url))
            client.post("/login", data={"username": name, "password": password})
            return client

        yield enter


def is_in(client: httpx.Client) -> bool:
    return client.get("/alerts").status_code == 200


def test_an_operator_s_life(cli: Cli, tmp_path: Path, log_in: LogIn) -> None:
    assert "No operator: nobody can log in" in cli.good("operator", "list")
    url = (cli.data / "ui.url").read_text().strip()
    made = cli.good("operator", "add", "Ada", "--role", "admin", stdin=f"{PASSWORD}\n")
    assert made.splitlines() == [
        "operator ada added, role admin", f"next: they log in on {url}/login",
    ]  # fmt: skip
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    cli.good("operator", "add", "bob", "--password-file", str(file))
    bob = log_in("bob", PASSWORD)
    assert is_in(bob)
    text = cli.good("operator", "list")
    assert max(map(cell_len, text.splitlines())) <= 80
    assert [line.split()[:2] for line in text.splitlines()[1:]] == [
        ["ada", "admin"], ["bob", "operator"],
    ]  # fmt: skip
    assert text.splitlines()[1].split()[-2] == "never"
    rows = cli.good("operator", "list", "--csv").splitlines()
    assert rows[0] == "id,name,role,created_at,last_login_at,disabled"
    assert len(rows) == 3
    said = cli.good("operator", "role", "bob", "viewer")
    assert said == "operator bob: role viewer, was operator\n"
    assert is_in(bob)
    assert bob.get("/hosts/new").status_code == 403
    said = cli.good("operator", "password", "bob", stdin=f"{OTHER}\n")
    assert said == "operator bob: new password, all sessions ended\n"
    assert not is_in(bob)
    assert not is_in(log_in("bob", PASSWORD))
    bob = log_in("bob", OTHER)
    assert is_in(bob)
    assert "say --yes" in cli.bad("operator", "remove", "bob")
    assert is_in(bob)
    cli.good("operator", "remove", "bob", "--yes")
    assert not is_in(bob)
    assert "canary" not in cli.good("operator", "list", "--json")
    for words in (("remove", "ada", "--yes"), ("role", "ada", "viewer")):
        assert "the last admin who can log in; make another" in cli.bad("operator", *words)
    assert list(operators(cli)) == ["ada"]


def test_a_password_is_asked_for_without_echo_and_never_is_an_argument(
    cli: Cli, log_in: LogIn
) -> None:
    whole = cli("operator", "add", "eve", PASSWORD)
    assert whole.returncode == 2
    assert "eve" not in operators(cli)
    shown = _at_a_terminal(cli, ["operator", "add", "eve"], [PASSWORD, PASSWORD])
    assert "Password: " in shown
    assert "Repeat for confirmation: " in shown
    assert "operator eve added, role operator" in shown
    assert PASSWORD not in shown
    assert is_in(log_in("eve", PASSWORD))
    shown = _at_a_terminal(cli, ["operator", "remove", "eve"], ["n"])
    assert "Remove operator eve (operator)? All their sessions end. [y/N]" in shown
    assert "nothing was changed" in shown
    assert "eve" in operators(cli)
    assert "eve removed" in _at_a_terminal(cli, ["operator", "remove", "eve"], ["y"])
    assert "eve" not in operators(cli)


def _at_a_terminal(cli: Cli, words: list[str], answers: list[str]) -> str:
    """Run at a terminal, answer each question when it is asked; return all that is shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *words], cwd=ROOT, env=cli.environment | {"TERM": "dumb"},
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown, asked = "", 0
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # Linux says so when the other end is closed.
            break
        if not part:
            break
        shown += part.decode()
        if answers and shown[asked:].endswith(": "):  # With the space it has begun to listen.
            asked = len(shown)
            os.write(ours, answers.pop(0).encode() + b"\n")
    os.close(ours)
    process.wait(60)
    return shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("operator", "add", "a b"), "a user name has 1 to 64 characters"),
        (("operator", "add", "mallory", "--password-file", "/nowhere"), "cannot read /nowhere"),
        (("operator", "role", "nobody", "viewer"), "no operator 'nobody' here"),
        (("operator", "password", "nobody"), "no operator 'nobody' here"),
        (("operator", "remove", "nobody", "--yes"), "no operator 'nobody' here"),
        (("token", "add", "ci", "--expires", "soon"), "is not a duration"),
        (("token", "add", "ci", "--expires", "0s"), "expires_in must be at least 1 second"),
        (("token", "add", ""), "name"),
        (("token", "remove", "nothing", "--yes"), "no API token 'nothing' here; there is: first"),
        (("token", "remove", "first", "--yes"), "no API token 'first' here"),
        (("token", "remove", "first admin", "--yes"), "change DORMICE_ADMIN_TOKEN"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, words: tuple[str, ...], said: str) -> None:
    error = cli.bad(*words, stdin=f"{PASSWORD}\n")
    assert said in error
    assert error.count("\n") == 1
    assert "canary" not in error
    assert list(tokens(cli)) == ["first admin"]


@pytest.mark.parametrize("words", [
    ("operator", "add", "mallory", "--role", "root"), ("operator", "role", "nobody", "root"),
    ("token", "add", "ci", "--role", "root"),
])  # fmt: skip
def test_what_is_no_role_is_a_wrong_command_line(cli: Cli, words: tuple[str, ...]) -> None:
    done = cli(*words, stdin=f"{PASSWORD}\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'root' is no role; there are viewer" in done.stderr


def test_what_is_no_password_is_refused(cli: Cli) -> None:
    error = cli.bad("operator", "add", "mallory", stdin="short\n")
    assert "a password has 8 to 256 characters" in error
    assert "short" not in error
    assert "password is missing" in cli.bad("operator", "add", "mallory")
    assert "mallory" not in operators(cli)


def test_a_token_s_life(cli: Cli) -> None:
    made = cli("token", "add", "uptime monitor", "--expires", "90d")
    url = (cli.data / "ui.url").read_text().strip()
    secret = made.stdout.strip()
    assert made.stdout == f"{secret}\n"
    assert " " not in secret
    about, step = made.stderr.splitlines()
    assert about.startswith("role viewer, until ")
    assert about.endswith("; it is not shown again")
    assert step == f"next: where it is used, DORMICE_URL={url} DORMICE_TOKEN=..."
    where = {"DORMICE_URL": url, "DORMICE_TOKEN": secret}
    assert cli("check", **where).returncode == 0
    refused = cli("token", "list", **where)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "this needs the role admin; yours is viewer" in refused.stderr
    one = tokens(cli)["uptime monitor"]
    assert (one["role"], one["created_by"]) == ("viewer", "first admin")
    text = cli.good("token", "list")
    assert max(map(cell_len, text.splitlines())) <= 80
    whole = cli.good("token", "list", "--wide").splitlines()
    (row,) = [line for line in whole if line.startswith("  uptime monitor  viewer")]
    assert "first admin" in row
    assert "never" not in row
    rows = cli.good("token", "list", "--csv").splitlines()
    assert rows[0] == "id,name,role,created_by,created_at,expires_at,last_used_at"
    assert secret not in cli.good("token", "list", "--json") + text
    assert "say --yes" in cli.bad("token", "remove", "uptime monitor")
    assert cli.good("token", "remove", "uptime monitor", "--yes") == (
        "API token uptime monitor removed\n"
    )
    again = cli("check", **where)
    assert again.returncode != 0
    assert "this API token is unknown or has expired" in again.stdout + again.stderr


def test_a_token_for_programs_and_two_of_one_name(cli: Cli) -> None:
    first = json.loads(cli.good("token", "add", "ci", "--role", "operator", "--json"))
    second = json.loads(cli.good("token", "add", "ci", "--json"))
    assert (first["role"], second["role"], first["expires_at"]) == ("operator", "viewer", None)
    assert first["token"] != second["token"]
    error = cli.bad("token", "remove", "ci", "--yes")
    for one in (first, second):
        assert one["id"][-8:] in error
    for one in (first, second):
        cli.good("token", "remove", one["id"][-8:], "--yes")
    assert list(tokens(cli)) == ["first admin"]
