"""What a caller of notify may catch."""

from __future__ import annotations

from libs.common.errors import BadInput, DormiceError, NotFound


class ChannelNotFound(NotFound):
    """No channel with this id exists."""


class UnknownKind(BadInput):
    """There is no such kind of channel; the message names those that there are."""


class TargetRefused(DormiceError):
    """Every address of the target is private and outside DORMICE_ALLOW_TARGETS."""

    code = "target_refused"


class TargetUnknown(DormiceError):
    """The target's name could not be resolved; try again later."""

    code = "target_unknown"
