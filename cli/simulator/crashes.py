"""Where in a step of its loop a service can die."""

from __future__ import annotations

from enum import Enum


class CrashPoint(Enum):
    """Where a service dies."""

    BEFORE_COMMIT = "before the commit"
    AFTER_COMMIT = "after the commit, before anything was published"
    AFTER_PUBLISH = "after publishing, before the acknowledgement was written down"
