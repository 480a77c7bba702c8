"""Passwords and setup codes: how they are checked and stored. Pure but for argon2's own salt."""

from __future__ import annotations

import asyncio
import re
import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from libs.common.errors import BadInput
from libs.common.security import hash_token

MIN_LENGTH = 8
MAX_LENGTH = 256
CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without characters that are mistaken for others."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_hasher = PasswordHasher()
_places = asyncio.Semaphore(2)
"""argon2 takes 64 MiB each: a storm of logins must not take the machine's memory."""

_NOBODY = (
    "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA"
    "$lsFQPgjYzTXyCpZ3ZJpJXZ6zFnqJOKLzXnQyyh8HUTo"
)
"""Compared where there is no such operator, so that the answer takes as long."""


def check_operator_name(name: str) -> str:
    """Return an operator's name as it is stored. Raises: BadInput."""
    found = name.strip().lower()
    if not _NAME.fullmatch(found):
        raise BadInput("a user name has 1 to 64 characters of a-z 0-9 . _ @ -")
    return found


def check_password(password: str) -> str:
    """Return a new password in the form that is hashed. Raises: BadInput."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise BadInput(f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters")
    return _normal(password)


def _normal(password: str) -> str:
    """The same characters typed on another keyboard are the same password."""
    text = unicodedata.normalize("NFKC", password)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadInput("a password must be text") from None
    return text


async def hash_password(password: str) -> str:
    """Return the argon2id hash of a password, not on the event loop."""
    async with _places:
        return await asyncio.to_thread(_hasher.hash, _normal(password))


async def matches(stored: str | None, password: str) -> bool:
    """Say whether `password` is the one of the hash; None takes as long and never matches."""
    if len(password) > MAX_LENGTH:
        return False
    async with _places:
        right = await asyncio.to_thread(_verify, stored or _NOBODY, password)
    return right and stored is not None


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, _normal(password))
    except (VerificationError, InvalidHashError, BadInput):
        return False


def new_setup_code() -> str:
    """Return a code to be read from a terminal and typed: `K7QF-2M9D`."""
    word = "".join(secrets.choice(CODE_ALPHABET) for _ in range(8))
    return f"{word[:4]}-{word[4:]}"


def hash_setup_code(code: str) -> str:
    """Return the form in which a code is stored: case and dashes do not count."""
    return hash_token("".join(char for char in code.upper() if char.isalnum()))
