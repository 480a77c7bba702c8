"""Why a connection is closed, as an exception on the way from a frame to its socket."""

from __future__ import annotations

from libs.common.errors import DormiceError
from libs.common.protocol import CloseCode


class CloseConnection(DormiceError):
    """The connection must be closed with `close_code`; the message is the reason that is sent."""

    code = "close_connection"

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__(reason)
        self.close_code = close_code


def try_later(reason: str) -> CloseConnection:
    """Nothing is wrong with the agent: it should dial again in a while."""
    return CloseConnection(CloseCode.TRY_LATER, reason)
