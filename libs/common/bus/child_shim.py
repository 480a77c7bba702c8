"""Runs a program that must not outlive its parent: `child_shim.py PARENT WATCH_FD PROGRAM ARG…`.

Run by path in an interpreter of its own: code between fork and exec in a process with threads may
hang, and this one starts in 20 ms. On Linux the kernel is asked to kill us when the parent's main
thread ends, which an exec keeps; elsewhere this process stays and watches a pipe that only the
parent holds open.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> int:
    parent, watch_fd, command = int(argv[1]), int(argv[2]), argv[3:]
    if sys.platform == "linux":
        _die_with_parent(parent)
        os.close(watch_fd)
        os.execv(command[0], command)  # noqa: S606  # No shell is wanted.
    return _run_watched(command, watch_fd)


def _die_with_parent(parent: int) -> None:
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)  # It died before we could ask.


def _run_watched(command: list[str], watch_fd: int) -> int:
    child = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())

    def watch() -> None:
        os.read(watch_fd, 1)  # Nothing is ever written: this returns when the parent is gone.
        child.kill()

    threading.Thread(target=watch, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
