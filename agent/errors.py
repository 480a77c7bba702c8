"""What the agent tells the person in front of it."""

from __future__ import annotations

from typing import ClassVar

from libs.common.errors import DormiceError


class NotEnrolled(DormiceError):
    """This machine is not enrolled yet; run: dormice agent enroll URL"""

    code: ClassVar[str] = "not_enrolled"


class AlreadyEnrolled(DormiceError):
    """This machine is enrolled already; --force enrolls it again, as a new host."""

    code: ClassVar[str] = "already_enrolled"


class EnrollRefused(DormiceError):
    """The gateway did not enroll this machine; the message says why and what to do."""

    code: ClassVar[str] = "enroll_refused"


class AgentRunning(DormiceError):
    """Another agent runs with this state directory."""

    code: ClassVar[str] = "agent_running"


class StateUnusable(DormiceError):
    """The state directory cannot be read or written; the message names the file."""

    code: ClassVar[str] = "state_unusable"


class DamagedFile(StateUnusable):
    """A file of the state directory cannot be understood; the message says what to do."""


class InstallRefused(DormiceError):
    """What starts the agent with the machine cannot be written."""

    code = "install_refused"
