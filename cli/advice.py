"""What mends an error, said behind it."""

from __future__ import annotations

from collections.abc import Mapping

from libs.common.errors import RemoteError


def advised(error: RemoteError, steps: Mapping[str, str]) -> RemoteError:
    """Return `error` in one sentence with the step that mends it; as it is if none is known.

    `steps`: commands by the code of the error. What the message itself advises gives way to them.
    """
    if error.code not in steps:
        return error
    sentence = error.message.partition(";")[0].rstrip(".")
    return RemoteError(error.code, f"{sentence}; next: {steps[error.code]}")
