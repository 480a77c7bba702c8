"""The errors that cross a boundary, each with a stable code.

`ERROR_STATUS` is the one table code → HTTP status. A service's own errors derive from these classes
in its `errors.py`; over the bus they travel as {code, message, fields}.
"""

from __future__ import annotations

from typing import Any, ClassVar


class DormiceError(Exception):
    """Something went wrong that a caller can be told in one line."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str = "", **fields: Any) -> None:
        super().__init__(message or (self.__doc__ or "").split("\n", 1)[0])
        self.fields = fields

    @property
    def message(self) -> str:
        return str(self.args[0])


class BadInput(DormiceError):
    """The request does not make sense; the message says what to change."""

    code = "bad_input"


class NotFound(DormiceError):
    """Nothing has this id."""

    code = "not_found"


class HostNotFound(NotFound):
    """No host with this id is enrolled."""

    code = "host_not_found"


class Conflict(DormiceError):
    """The request does not fit the present state."""

    code = "conflict"


class Forbidden(DormiceError):
    """The caller's role does not allow this."""

    code = "forbidden"


class Unauthorized(DormiceError):
    """No valid credentials came with the request."""

    code = "unauthorized"


class TooManyTries(DormiceError):
    """Too many failed tries; wait a minute."""

    code = "too_many_tries"


class Unavailable(DormiceError):
    """A part that is needed for this does not answer; try again."""

    code = "unavailable"


class RemoteError(DormiceError):
    """An error that another service answered with; `code` is that service's."""

    def __init__(self, code: str, message: str, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.code = code  # type: ignore[misc]  # the instance carries the other side's code


class SettingsError(DormiceError):
    """A setting has a wrong value; the message names it."""

    code = "settings"


class StoreLocked(DormiceError):
    """Another process has this state file open."""

    code = "store_locked"


class StoreBroken(DormiceError):
    """The state file cannot be read; the message says which and what to do."""

    code = "store_broken"


ERROR_STATUS: dict[str, int] = {
    "bad_input": 422,
    "bad_cron": 422,
    "not_found": 404,
    "host_not_found": 404,
    "conflict": 409,
    "name_taken": 409,
    "no_repository": 409,
    "no_retention": 409,
    "not_connected": 409,
    "busy": 409,
    "forbidden": 403,
    "unauthorized": 401,
    "too_many_tries": 429,
    "unavailable": 503,
    "no_responder": 503,
    "bus_away": 503,
    "internal": 500,
}


def status_of(code: str) -> int:
    """Return the HTTP status for an error code; an unknown code is our own fault: 500."""
    return ERROR_STATUS.get(code, 500)
