"""Whose token is it? Known ones from the own file, others from the registry."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common import rpc
from libs.common.bus.base import Bus
from libs.common.errors import DormiceError, RemoteError
from libs.common.loop.service import Service
from libs.common.protocol import CloseCode
from libs.common.security import hash_token
from services.gateway import store_hosts
from services.gateway.errors import CloseConnection, try_later
from services.gateway.store_hosts import Token

MAX_TOKEN_CHARS = 512


@dataclass(frozen=True, slots=True)
class Caller:
    """The host that a token speaks for. `new_hash`: the token was not known here before."""

    token: Token
    new_hash: str | None


def bearer_token(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Return the token of `Authorization: Bearer <token>`, if there is one of sensible length."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            token = token.strip()
            if scheme.lower() == "bearer" and 0 < len(token) <= MAX_TOKEN_CHARS:
                return token
    return None


async def identify(headers: list[tuple[bytes, bytes]], service: Service, bus: Bus) -> Caller:
    """Return whose token came with a dial.

    Raises: CloseConnection: 4401 if nobody's, 4503 if the registry is needed and away.
    """
    secret = bearer_token(headers)
    if secret is None:
        raise CloseConnection(CloseCode.UNKNOWN_TOKEN, "no bearer token")
    token_hash = hash_token(secret)
    known = await service.read(lambda db: store_hosts.find_token(db, token_hash))
    if known is not None:
        return Caller(known, None)
    return Caller(await _ask_registry(token_hash, bus), token_hash)


async def _ask_registry(token_hash: str, bus: Bus) -> Token:
    try:
        reply = await rpc.call(bus, "registry", "find_token", {"token_hash": token_hash})
    except RemoteError as error:
        if error.code == "not_found":
            raise CloseConnection(CloseCode.UNKNOWN_TOKEN, "unknown token") from None
        raise try_later("the registry cannot say whose token it is") from None
    except DormiceError:
        raise try_later("the registry is away") from None
    return Token(reply.result["host_id"], reply.result["token_version"])
