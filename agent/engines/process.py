"""One program at a time, in its own process group, that can be stopped, paused and resumed.

Its id is noted on disk, so that a program which outlived a killed agent is ended at the next start.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from agent.files import write_private
from agent.work import OnLine, Stopped

CHUNK = 64 * 1024
LONGEST_LINE = 1024 * 1024
KILL = signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM
POLL_SECONDS = 0.1
POLLS_FOR_STRAGGLERS = 5


class ControlledProcess:
    """Implements `agent.work.Process` for one job."""

    def __init__(self, note: Path, *, grace: timedelta) -> None:
        self._note = note
        self._grace = grace
        self._stopping = False
        self._stop_asked = asyncio.Event()
        self._paused = False
        self._program: asyncio.subprocess.Process | None = None
        self._killer: asyncio.TimerHandle | None = None

    async def run(
        self,
        argv: list[str],
        environment: Mapping[str, str],
        on_line: OnLine,
        *,
        even_if_stopped: bool = False,
    ) -> int:
        if self._stopping and not even_if_stopped:
            raise Stopped
        program = await asyncio.create_subprocess_exec(
            *argv,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert program.stdout is not None
        assert program.stderr is not None
        self._program = program
        try:
            write_private(self._note, f"{program.pid} {birth_of(program.pid)}")
            self._apply_wishes(even_if_stopped=even_if_stopped)
            out = asyncio.create_task(_read_lines(program.stdout, "stdout", on_line))
            err = asyncio.create_task(_read_lines(program.stderr, "stderr", on_line))
            await _until_read(program, [out, err])
            await asyncio.gather(out, err)
            return await program.wait()
        finally:
            self._ended()

    async def rest(self, pause: timedelta) -> None:
        try:
            async with asyncio.timeout(pause.total_seconds()):
                await self._stop_asked.wait()
        except TimeoutError:
            return
        raise Stopped

    def stop(self) -> None:
        """Ask the program to end; kill it after the grace time."""
        self._stopping = True
        self._stop_asked.set()
        self.resume()
        if self._program is None:
            return
        self._signal(signal.SIGINT)
        self._kill_later()

    def pause(self) -> None:
        """Let the program stand still, as a sleeping machine does."""
        self._paused = True
        if hasattr(signal, "SIGSTOP"):
            self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._paused and hasattr(signal, "SIGCONT"):
            self._signal(signal.SIGCONT)
        self._paused = False

    def _apply_wishes(self, *, even_if_stopped: bool) -> None:
        """What was asked for while the program was being started."""
        if self._stopping and even_if_stopped:
            self._kill_later()
        elif self._stopping:
            self.stop()
        elif self._paused:
            self.pause()

    def _kill_later(self) -> None:
        if self._killer is None:
            loop = asyncio.get_running_loop()
            self._killer = loop.call_later(self._grace.total_seconds(), self._kill)

    def _kill(self) -> None:
        self._signal(KILL)

    def _signal(self, number: int) -> None:
        if self._program is not None and self._program.returncode is None:
            signal_group(self._program.pid, number)

    def _ended(self) -> None:
        if self._program is not None and self._program.returncode is None:
            self._kill()
        if self._killer is not None:
            self._killer.cancel()
            self._killer = None
        self._program = None
        self._note.unlink(missing_ok=True)


def signal_group(pid: int, number: int) -> None:
    """Send a signal to the process group that `pid` leads; one that is gone is no error."""
    try:
        if os.name == "nt":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


@dataclass(frozen=True, slots=True)
class Leftover:
    """A program that outlived the agent which had started it."""

    pid: int
    birth: str

    def signal(self, number: int) -> bool:
        """Signal its group if it is still that program; say whether it was."""
        alive = self._is_alive()
        if alive:
            signal_group(self.pid, number)
        return alive

    async def gone(self) -> None:
        """Return once it has ended."""
        while self._is_alive():
            await asyncio.sleep(POLL_SECONDS)

    def _is_alive(self) -> bool:
        return self.birth != "?" and self.birth == birth_of(self.pid)


def find_leftover(note: Path) -> Leftover | None:
    """Return what the note of a killed agent names."""
    try:
        pid, birth = note.read_text("ascii").split(maxsplit=1)
        return Leftover(int(pid), birth)
    except (OSError, ValueError):
        return None


def forget_leftover(note: Path) -> None:
    note.unlink(missing_ok=True)


async def _until_read(
    program: asyncio.subprocess.Process, readers: list[asyncio.Task[None]]
) -> None:
    """Wait until all output is read. Children that outlive their parent and hold its output open
    are killed: they would keep the job running for ever.
    """
    polls = 0
    while (await asyncio.wait(readers, timeout=POLL_SECONDS))[1]:
        if program.returncode is None:
            continue
        polls += 1
        if polls >= POLLS_FOR_STRAGGLERS:
            signal_group(program.pid, KILL)
        if polls >= 2 * POLLS_FOR_STRAGGLERS:  # In a session of their own: let them be.
            program._transport.close()  # type: ignore[attr-defined]


def birth_of(pid: int) -> str:
    """Return when a process was started, so that a reused id is not mistaken for it.

    `?` if that is not known, or it has ended and only waits for its parent to notice.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return "?"
    state, *rest = stat.rpartition(")")[2].split()
    return "?" if state in "ZX" else rest[18]


async def _read_lines(reader: asyncio.StreamReader, stream: str, on_line: OnLine) -> None:
    """Tell each line; one that is endless is cut."""
    rest = b""
    while chunk := await reader.read(CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            on_line(stream, line.decode("utf-8", "replace").rstrip("\r"))
        rest = rest[:LONGEST_LINE]
    if rest:
        on_line(stream, rest.decode("utf-8", "replace"))
