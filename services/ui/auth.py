"""Who is asking: API tokens, logins, sessions, and the way in for the first admin."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from libs.common.clock import to_micros
from libs.common.errors import StoreBroken, TooManyTries, Unauthorized
from libs.common.events.host import SYSTEM, Actor
from libs.common.ids import new_secret
from libs.common.loop.service import Service
from libs.common.loop.tx import Tx
from libs.common.security import hash_token
from services.ui import access, passwords, store_access
from services.ui.settings import UiSettings
from services.ui.views import ApiTokenView, OperatorView

T = TypeVar("T")

TRIES = 10
TRIES_WINDOW = timedelta(minutes=1)
ADDRESSES_KEPT = 10_000
USED_STEP = timedelta(minutes=5)
"""How much newer a token's last use must be to be worth a write."""


@dataclass(frozen=True, slots=True)
class Login:
    """A web session that has just begun. `token` goes into the cookie and nowhere else."""

    token: str
    operator: OperatorView
    expires_at: datetime


class Tries:
    """Counts failed tries of an address, to slow down who guesses. Lost with the process."""

    def __init__(self) -> None:
        self._failed: dict[str, deque[datetime]] = {}

    def check(self, address: str, now: datetime) -> None:
        """Raises: TooManyTries."""
        failed = self._failed.get(address)
        while failed and failed[0] <= now - TRIES_WINDOW:
            failed.popleft()
        if failed and len(failed) >= TRIES:
            raise TooManyTries

    def failed(self, address: str, now: datetime) -> None:
        if len(self._failed) >= ADDRESSES_KEPT:
            self._failed.pop(next(iter(self._failed)))
        self._failed.setdefault(address, deque(maxlen=TRIES)).append(now)


class Auth:
    """Answers who a token, a cookie or a login belongs to. Owns no state but the failed tries."""

    def __init__(self, service: Service, settings: UiSettings) -> None:
        self._service, self._settings = service, settings
        self._tries = Tries()

    def _now(self) -> datetime:
        return self._service.clock.now()

    # --- Tokens and sessions ----------------------------------------------------------------------

    async def actor_of_token(self, token: str) -> Actor:
        """Return who an API token stands for. Raises: Unauthorized."""
        token_hash, now = hash_token(token), self._now()
        find = store_access.find_token_by_hash
        found = await self._service.read(lambda db: find(db, token_hash, now))
        if found is None:
            raise Unauthorized("this API token is unknown or has expired")
        if found.last_used_at is None or now - found.last_used_at >= USED_STEP:
            await self._service.submit(
                lambda tx: store_access.change_token(tx, found.id, last_used_at=to_micros(tx.now))
            )
        return Actor.model_validate(
            {"kind": "token", "id": found.id, "name": found.name, "role": found.role}
        )

    async def find_actor_of_session(self, cookie: str) -> Actor | None:
        """Return who is logged in, or None."""
        token_hash, now = hash_token(cookie), self._now()
        return await self._service.read(
            lambda db: store_access.find_session_actor(db, token_hash, now)
        )

    async def log_in(self, name: str, password: str, address: str) -> Login:
        """Begin a session. Raises: Unauthorized, TooManyTries."""
        self._tries.check(address, self._now())
        who = name.strip().lower()
        found = await self._service.read(lambda db: store_access.find_credentials(db, who))
        if not await passwords.matches(found.password if found else None, password) or not found:
            self._tries.failed(address, self._now())
            raise Unauthorized("user name or password is wrong")
        return await self._begin(found)

    async def _begin(self, known: store_access.Credentials) -> Login:
        token = new_secret()
        token_hash = hash_token(token)
        done = await self._service.submit(lambda tx: access.open_session(tx, known, token_hash))
        return Login(token, known.operator, done.result)

    async def log_out(self, cookie: str) -> None:
        token_hash = hash_token(cookie)
        await self._service.submit(lambda tx: store_access.end_session(tx, token_hash))

    # --- The first admin --------------------------------------------------------------------------

    async def prepare(self) -> str | None:
        """Make the settings' token and password work; return a setup code if nobody can log in.

        Raises: StoreBroken if the token's file cannot be written.
        """
        token_hash = hash_token(self.admin_token())
        await self._service.submit(lambda tx: access.ensure_admin_token(tx, token_hash))
        if self._settings.admin_password is not None:
            await self._set_first_password(self._settings.admin_password.get_secret_value())
        if await self._service.read(store_access.has_admin):
            return None
        code, _ = await self.new_setup_code(SYSTEM)
        return code

    def admin_token(self) -> str:
        """Return the first admin's API token, the settings' or the file's. Raises: StoreBroken."""
        given = self._settings.admin_token
        if given is not None:
            return given.get_secret_value()
        return read_or_make_token(self._settings.admin_token_path)

    async def _set_first_password(self, password: str) -> None:
        name = access.FIRST_ADMIN
        known = await self._service.read(lambda db: store_access.find_credentials(db, name))
        is_admin = known is not None and known.operator.role == "admin"
        if is_admin and known and await passwords.matches(known.password, password):
            return
        hashed = await passwords.hash_password(password)
        await self._service.submit(lambda tx: access.ensure_first_admin(tx, SYSTEM, hashed))

    async def new_setup_code(self, actor: Actor) -> tuple[str, datetime]:
        """Return a code that makes one admin within 30 min, once; earlier ones no longer work."""
        code = passwords.new_setup_code()
        code_hash = passwords.hash_setup_code(code)
        done = await self._service.submit(
            lambda tx: access.replace_setup_code(tx, actor, code_hash)
        )
        return code, done.result

    async def redeem_setup_code(self, code: str, name: str, password: str, address: str) -> Login:
        """Make the first admin and log in.

        Raises: Unauthorized, TooManyTries, BadInput, Conflict.
        """
        self._tries.check(address, self._now())
        who = passwords.check_operator_name(name)
        hashed = await passwords.hash_password(passwords.check_password(password))
        code_hash = passwords.hash_setup_code(code)
        try:
            done = await self._service.submit(
                lambda tx: access.redeem_setup_code(tx, SYSTEM, code_hash, who, hashed)
            )
        except Unauthorized:
            self._tries.failed(address, self._now())
            raise
        return await self._begin(store_access.Credentials(done.result, hashed))

    # --- Operators and tokens ---------------------------------------------------------------------

    async def create_operator(
        self, actor: Actor, name: str, role: access.Role, password: str
    ) -> OperatorView:
        """Raises: BadInput, Conflict."""
        who = passwords.check_operator_name(name)
        hashed = await passwords.hash_password(passwords.check_password(password))
        return await self._submit(lambda tx: access.create_operator(tx, actor, who, role, hashed))

    async def change_operator(
        self, actor: Actor, operator_id: str, changes: dict[str, Any]
    ) -> OperatorView:
        """`changes`: role, disabled, password (as typed). Raises: NotFound, BadInput, LastAdmin."""
        stored = dict(changes)
        if "password" in stored:
            typed = passwords.check_password(stored["password"])
            stored["password"] = await passwords.hash_password(typed)
        if "disabled" in stored:
            stored["disabled"] = int(stored["disabled"])
        return await self._submit(lambda tx: access.change_operator(tx, actor, operator_id, stored))

    async def create_token(
        self, actor: Actor, name: str, role: access.Role, lasts: timedelta | None
    ) -> tuple[str, ApiTokenView]:
        """Return a new API token, which is never shown again, and what is kept of it."""
        secret, now = new_secret(), self._now()
        wanted = ApiTokenView("", name, role, "", now, None, None)
        if lasts is not None:
            wanted = replace(wanted, expires_at=now + lasts)
        token_hash = hash_token(secret)
        made = await self._submit(lambda tx: access.create_token(tx, actor, wanted, token_hash))
        return secret, made

    async def _submit(self, work: Callable[[Tx], T]) -> T:
        """Decide, and wait until the audit entry can be read."""
        done = await self._service.submit(work)
        await self._service.wait_for_seq(done.seq, timedelta(seconds=1))
        result: T = done.result
        return result

    async def submit(self, work: Callable[[Tx], T]) -> T:
        """Decide an input of `access` (delete_operator, change_token, delete_token)."""
        return await self._submit(work)


def read_or_make_token(path: Path) -> str:
    """Return the token in the file, which is made, mode 0600, if missing. Raises: StoreBroken."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_token(path)
        token = path.read_text().strip()
    except OSError as error:
        raise StoreBroken(f"cannot use {path}: {error.strerror}") from None
    if not token:
        raise StoreBroken(f"{path} is empty; delete it to have a new token made")
    return token


def _write_token(path: Path) -> None:
    """Make the file whole or not at all: a kill in between must not refuse the next start."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(new_secret() + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
