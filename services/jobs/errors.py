"""What a caller of jobs may catch, beside the common errors."""

from __future__ import annotations

from typing import ClassVar

from libs.common.errors import Conflict, NotFound


class NoRepository(Conflict):
    """The host has no repository yet; set one first."""

    code: ClassVar[str] = "no_repository"


class NoRetention(Conflict):
    """The source group has no retention: say first which snapshots to keep."""

    code: ClassVar[str] = "no_retention"


class NotConnected(Conflict):
    """The host is not connected; ask for it when it wakes."""

    code: ClassVar[str] = "not_connected"


class Busy(Conflict):
    """A job runs on the host; wait for its end, or ask for it when the host is free."""

    code: ClassVar[str] = "busy"


class JobNotFound(NotFound):
    """No job has this id."""


class GroupNotFound(NotFound):
    """The host has no source group with this id."""


class AlreadyEnded(Conflict):
    """The job has ended; there is nothing to cancel."""
