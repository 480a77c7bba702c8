"""Tokens as hashes, and secrets sealed for the disk. Nothing here ever logs what it holds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from libs.common.errors import DormiceError, StoreBroken


class SecretUnreadable(DormiceError):
    """A stored secret cannot be opened: the key file is not the one it was sealed with."""

    code = "secret_unreadable"


def hash_token(token: str) -> str:
    """Return the form in which a token is stored and compared: SHA-256, 64 hex digits.

    Our tokens are 256 random bits, so a plain hash is enough; passwords need argon2.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Vault:
    """Seals secrets for the disk with a key that lies in a file of its own.

    The file holds one Fernet key a line. The first one seals; all of them open, so that a key can
    be replaced by putting a new line above it.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Raises: ValueError if `keys` is empty or one of them is no Fernet key."""
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    @classmethod
    def generate(cls) -> Vault:
        """Return a vault with a key that is nowhere else; for tests and the simulator."""
        return cls([Fernet.generate_key()])

    @classmethod
    def at(cls, path: Path, *, create: bool) -> Vault:
        """Return the vault of the key file `path`; `create` makes it, mode 0600, if it is missing.

        Raises:
            StoreBroken: it is missing, cannot be read or written, or holds no key.
        """
        try:
            if create and not path.exists():
                _write_key(path)
            return cls(path.read_bytes().split())
        except FileNotFoundError:
            raise StoreBroken(
                f"the key file {path} is missing; put back the one that belongs to the state file"
            ) from None
        except OSError as error:
            raise StoreBroken(f"cannot read the key file {path}: {error.strerror}") from None
        except ValueError:
            raise StoreBroken(f"the key file {path} holds no usable key") from None

    def seal(self, secret: bytes) -> bytes:
        """Return `secret` encrypted and authenticated; the same secret twice looks different."""
        return self._fernet.encrypt(secret)

    def seal_anew(self, sealed: bytes) -> bytes:
        """Return the same secret sealed by the first key. Raises: SecretUnreadable."""
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken:
            raise SecretUnreadable from None

    def open(self, sealed: bytes) -> bytes:
        """Return what was sealed. Raises: SecretUnreadable."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise SecretUnreadable from None


def new_key() -> bytes:
    """Return a key as one line of a key file."""
    return Fernet.generate_key()


def _write_key(path: Path) -> None:
    """Make the key file, whole or not at all; one that another process made meanwhile stays."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(new_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    except OSError as error:
        raise StoreBroken(f"cannot write in {path.parent}: {error.strerror}") from None
