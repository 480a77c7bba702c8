"""The server that `dormice up` starts: private, fast, and gone when we are gone."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from libs.common.bus.embedded import BusNotStarted, EmbeddedServer, load_passwords
from libs.common.bus.nats import NatsBus
from libs.common.bus.rights import USERS
from libs.common.clock import monotonic_seconds
from tests.contract.conftest import until


@pytest.fixture
def embedded(tmp_path: Path) -> EmbeddedServer:
    return EmbeddedServer(tmp_path, "127.0.0.1:0")


async def test_it_writes_its_url_and_accepts_its_users(
    embedded: EmbeddedServer, tmp_path: Path
) -> None:
    started = monotonic_seconds()
    embedded.start()
    assert monotonic_seconds() - started < 3
    try:
        assert (tmp_path / "nats.url").read_text().strip() == embedded.url
        bus = NatsBus(embedded.url_for("registry"))
        async with asyncio.timeout(5):
            await bus.connect()
        await bus.close()
    finally:
        embedded.stop()
    assert not embedded.running


def test_its_secrets_are_private_and_stay(embedded: EmbeddedServer, tmp_path: Path) -> None:
    embedded.start()
    command_line = " ".join(psutil.Process(embedded.pid).cmdline())
    embedded.stop()
    passwords = load_passwords(tmp_path)
    assert set(passwords) == set(USERS)
    assert load_passwords(tmp_path) == passwords
    for name in ("passwords.json", "server.conf"):
        assert stat.S_IMODE((tmp_path / "nats" / name).stat().st_mode) == 0o600
    assert not any(password in command_line for password in passwords.values())


def test_a_port_in_use_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.bus.embedded._PREDECESSOR_SECONDS", 0.1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BusNotStarted, match=f"127.0.0.1:{port}"):
            EmbeddedServer(tmp_path, f"127.0.0.1:{port}").start()


@pytest.mark.parametrize("listen", ["nowhere", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000"])
def test_what_is_no_address_is_named(tmp_path: Path, listen: str) -> None:
    with pytest.raises(BusNotStarted, match=f"DORMICE_NATS_LISTEN: '{listen}' is not host:port"):
        EmbeddedServer(tmp_path, listen).start()


@pytest.mark.parametrize("port", ["0", "4222"])
def test_an_address_of_another_machine_is_refused_at_once(tmp_path: Path, port: str) -> None:
    started = monotonic_seconds()
    with pytest.raises(BusNotStarted, match=r"DORMICE_NATS_LISTEN: .*192\.0\.2\.1"):
        EmbeddedServer(tmp_path, f"192.0.2.1:{port}").start()
    assert monotonic_seconds() - started < 3


def test_started_again_it_listens_where_it_did(tmp_path: Path) -> None:
    """On every address, if it was told so: who lives elsewhere finds it again."""
    server = EmbeddedServer(tmp_path, "0.0.0.0:0")
    server.start()
    first, watched = server.url, server._watch_fd
    server.kill()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(watched)
    server.start()
    try:
        assert server.url == first
        assert 'listen: "0.0.0.0:' in (tmp_path / "nats" / "server.conf").read_text()
    finally:
        server.stop()


def test_an_early_exit_shows_the_last_lines(tmp_path: Path) -> None:
    (tmp_path / "nats").mkdir()
    (tmp_path / "nats" / "store").write_text("a file where a folder belongs")
    with pytest.raises(BusNotStarted, match=r"(?s)did not start.*storage directory"):
        EmbeddedServer(tmp_path, "127.0.0.1:0").start()


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "nats").symlink_to("/dev/full")
    with pytest.raises(BusNotStarted, match=r"^cannot write in [^\n]*$"):
        EmbeddedServer(tmp_path, "127.0.0.1:0").start()


def test_damaged_passwords_are_named(tmp_path: Path) -> None:
    (tmp_path / "nats").mkdir()
    (tmp_path / "nats" / "passwords.json").touch()
    with pytest.raises(BusNotStarted, match=r"passwords\.json is damaged"):
        EmbeddedServer(tmp_path, "127.0.0.1:0").start()


_PARENT = """
import sys, pathlib
from libs.common.bus.embedded import EmbeddedServer
server = EmbeddedServer(pathlib.Path(sys.argv[1]), "127.0.0.1:0")
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


async def test_it_dies_with_a_killed_parent_and_the_next_one_starts(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(  # noqa: ASYNC220  # Nothing else runs in this loop.
        [sys.executable, "-c", _PARENT, str(tmp_path)],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as parent:
        assert parent.stdout is not None
        line = next(line for line in parent.stdout if line.strip().isdigit())
        server = psutil.Process(int(line))
        assert server.name().startswith("nats-server")
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    await until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
    listen = (tmp_path / "nats.url").read_text().strip().removeprefix("nats://")
    again = EmbeddedServer(tmp_path, listen)
    again.start()
    assert again.url.endswith(listen)
    again.stop()


def test_start_again_at_once_on_the_same_port(embedded: EmbeddedServer, tmp_path: Path) -> None:
    embedded.start()
    listen = embedded.url.removeprefix("nats://")
    for end in (embedded.stop, embedded.kill):
        if not embedded.running:
            embedded.start()
        end()
        again = EmbeddedServer(tmp_path, listen)
        again.start()
        again.stop()
