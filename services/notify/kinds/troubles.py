"""What went wrong on the way to a receiver, in our own words: its own may quote the address."""

from __future__ import annotations

import ssl


def explain(error: BaseException, *, otherwise: str) -> str:
    """Return what TLS or the connect came to, or `otherwise` if neither says."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"TLS: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return "TLS: no secure connection could be made"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        cause = cause.__cause__ or cause.__context__
    return otherwise
