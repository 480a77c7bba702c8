"""The process in which Apprise works: `python -m services.notify.kinds.apprise_child [NETWORK…]`.

Reads {url, title, body, type} from stdin, a line each, and answers each with an outcome. Before the
library is loaded an audit hook is set, which Python calls at every connect, whoever asks for it,
and which cannot be taken off: an address that is neither public nor in one of the networks is
refused. So are local sockets, and starting programs.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import re
import socket
import sys
from collections.abc import Sequence
from typing import Any

from services.notify.target_rules import Network, explain_refusal, find_address, is_allowed

_REACHING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_STARTING = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.spawn"}
)
_STATUS = re.compile(r"\berror=(\d{3})\b")


class Refused(OSError):
    """Our rules forbid it."""


class Rules:
    """What the audit hook judges by; `refusal` is the latest, in words."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self.refusal: str | None = None

    def judge(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Raises: Refused."""
        if event.startswith("syslog."):
            self._refuse("the log of this machine is no target")
        if event in _STARTING:
            self._refuse("Apprise may start no programs here")
        if event in _REACHING:
            self._judge_address(arguments)

    def _judge_address(self, arguments: tuple[Any, ...]) -> None:
        link, target = arguments[0], arguments[-1]
        if link.family not in (socket.AF_INET, socket.AF_INET6):
            self._refuse("local sockets are no targets")
        if target is None:
            return  # A datagram on a socket that was connected, and judged, before.
        address = find_address(str(target[0]))
        if address is None:
            self._refuse("a connect by name cannot be judged")
        elif not is_allowed(address, self._allowed):
            self._refuse(explain_refusal(address))

    def _refuse(self, why: str) -> None:
        self.refusal = why
        raise Refused(why)


class Complaints(logging.Handler):
    """Keeps the HTTP status that a plugin complains of; its text may hold secrets."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.status: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        found = _STATUS.search(record.getMessage())
        if found is not None:
            self.status = int(found.group(1))


def deliver(apprise: Any, rules: Rules, asked: dict[str, Any]) -> dict[str, Any]:
    """Send one message; return the outcome as the machine reads it."""
    rules.refusal, complaints = None, Complaints()
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [complaints], False
    asset = apprise.AppriseAsset(http_redirects=False, storage_mode="memory")
    plugin = apprise.Apprise.instantiate(asked["url"], asset=asset, suppress_exceptions=True)
    if plugin is None:
        return {"error": "Apprise does not know this URL, or lacks a library", "refused": True}
    sender = apprise.Apprise(asset=asset)
    sender.add(plugin)
    if sender.notify(title=asked["title"], body=asked["body"], notify_type=asked["type"]):
        return {"taken": True}
    if rules.refusal is not None:
        return {"error": rules.refusal, "refused": True}
    if complaints.status is not None:
        return {"status": complaints.status}
    return {"error": "Apprise could not deliver it"}


def main(networks: Sequence[str]) -> None:
    rules = Rules([ipaddress.ip_network(text) for text in networks])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # What a plugin prints is no answer.
    sys.addaudithook(rules.judge)
    import apprise

    for line in sys.stdin:
        answers.write(json.dumps(deliver(apprise, rules, json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
