"""Whose token is it? Known ones from the own file, others from the registry: many at a time."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common import rpc
from libs.common.bus.base import Bus
from libs.common.errors import DormiceError, RemoteError
from libs.common.loop.service import Service
from libs.common.protocol import CloseCode
from libs.common.security import hash_token
from services.gateway import store_hosts
from services.gateway.batcher import Batcher
from services.gateway.errors import CloseConnection, try_later
from services.gateway.store_hosts import Token

MAX_TOKEN_CHARS = 512
TOKENS_AT_ONCE = 500


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


class Callers:
    """Finds out who dials."""

    def __init__(self, service: Service, bus: Bus) -> None:
        self._service, self._bus = service, bus
        self._known = Batcher(self._read, TOKENS_AT_ONCE)
        self._others = Batcher(self._ask_registry, TOKENS_AT_ONCE)

    async def identify(self, secret: str | None) -> Caller:
        """Return whose token it is that came with a dial.

        Raises: CloseConnection: 4401 if nobody's, 4503 if the registry is needed and away.
        """
        if secret is None:
            raise CloseConnection(CloseCode.UNKNOWN_TOKEN, "no bearer token")
        token_hash = hash_token(secret)
        known = await self._known.get(token_hash)
        if known is not None:
            return Caller(known, None)
        told = await self._others.get(token_hash)
        if told is None:
            raise CloseConnection(CloseCode.UNKNOWN_TOKEN, "unknown token")
        return Caller(told, token_hash)

    async def _read(self, hashes: list[str]) -> dict[str, Token]:
        return await self._service.read(lambda db: store_hosts.find_tokens(db, hashes))

    async def _ask_registry(self, hashes: list[str]) -> dict[str, Token]:
        """Raises: CloseConnection 4503."""
        wanted = {"token_hashes": hashes}
        try:
            reply = await rpc.call(self._bus, "registry", "find_tokens", wanted)
        except RemoteError:
            raise try_later("the registry cannot say whose token it is") from None
        except DormiceError:
            raise try_later("the registry is away") from None
        return {
            token_hash: Token(found["host_id"], found["token_version"])
            for token_hash, found in reply.result.items()
        }
