"""The archive of a state backup: a gzipped tar with a manifest first, then the files that it names.

Nothing of it is believed: a file has a name that we know, is a plain file, and has the size and the
checksum of the manifest; else the archive is refused. So no name leads out of the directory.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, ClassVar

from cli.state.files import STATE
from libs.common.clock import to_rfc3339
from libs.common.errors import BadInput

FORMAT = 1
"""Of what an archive looks like and which files it may hold. Larger: an older build refuses it."""

MANIFEST = "manifest.json"
MOST_MANIFEST_BYTES = 1024 * 1024
CHUNK_BYTES = 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")


class BadArchive(BadInput):
    """This is no state backup that can be restored; the message says why."""

    code: ClassVar[str] = "bad_archive"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the archive."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in an archive, of which build, and of when."""

    version: str
    made_at: str
    files: tuple[Entry, ...]
    format: int = FORMAT


# -- writing ---------------------------------------------------------------------------------------


def describe(files: Mapping[str, Path], version: str, now: datetime) -> Manifest:
    """Return the manifest of `files`, by their names in the archive."""
    entries = (Entry(name, path.stat().st_size, _digest(path)) for name, path in files.items())
    return Manifest(version, to_rfc3339(now), tuple(entries))


def pack(manifest: Manifest, files: Mapping[str, Path], out: IO[bytes]) -> None:
    """Write the archive of what `describe` was told of."""
    head = json.dumps({"product": "dormice"} | asdict(manifest), indent=1).encode() + b"\n"
    with (
        gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        tar.addfile(_header(MANIFEST, len(head), manifest), io.BytesIO(head))
        for entry in manifest.files:
            with files[entry.name].open("rb") as file:
                tar.addfile(_header(entry.name, entry.size_bytes, manifest), file)


def _header(name: str, size_bytes: int, manifest: Manifest) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mode = size_bytes, 0o600
    header.mtime = int(datetime.fromisoformat(manifest.made_at).timestamp())
    return header


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- reading ---------------------------------------------------------------------------------------


def unpack(source: IO[bytes], folder: Path) -> Manifest:
    """Write the files of an archive below `folder`, durably, for nobody else to read.

    Raises: BadArchive; what was written until then stays.
    """
    with _damage_is_one_line(), gzip.GzipFile(fileobj=source, mode="rb") as packed:
        with tarfile.open(fileobj=packed, mode="r|") as tar:
            members = iter(tar)
            manifest = _read_manifest(tar, next(members, None))
            wanted = {entry.name: entry for entry in manifest.files}
            for member in members:
                _unpack_one(tar, member, wanted.pop(member.name, None), folder)
        while packed.read(CHUNK_BYTES):
            pass  # To its checksum.
    if wanted:
        raise BadArchive(f"the archive is damaged: {next(iter(wanted))} is missing in it")
    return manifest


@contextmanager
def _damage_is_one_line() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        raise BadArchive(f"this is no state backup, or it is damaged: {error}") from None


def _read_manifest(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> Manifest:
    if member is None or member.name != MANIFEST or not member.isreg():
        raise BadArchive("this is no state backup: it does not begin with a manifest")
    if member.size > MOST_MANIFEST_BYTES:
        raise BadArchive("the archive is damaged: its manifest is too long")
    data = _open(tar, member).read()
    try:
        told = json.loads(data)
        if told["product"] != "dormice":
            raise BadArchive("this is no state backup of Dormice")
        number, version = int(told["format"]), str(told["version"])
        if number > FORMAT:
            raise BadArchive(f"the archive was made by a newer build ({version[:40]}, format "
                             f"{number}): restore it with that")  # fmt: skip
        files = tuple(_entry(one) for one in told["files"])
        return Manifest(version, str(told["made_at"]), files, number)
    except (ValueError, KeyError, TypeError):
        raise BadArchive("the archive is damaged: its manifest cannot be read") from None


def _entry(told: Mapping[str, Any]) -> Entry:
    """Raises: BadArchive, ValueError, KeyError, TypeError."""
    entry = Entry(str(told["name"]), int(told["size_bytes"]), str(told["sha256"]))
    if entry.name not in STATE:
        raise BadArchive(f"the archive holds {entry.name[:80]!r}, which is no state file")
    if entry.size_bytes < 0 or not _DIGEST.fullmatch(entry.sha256):
        raise ValueError
    return entry


def _unpack_one(
    tar: tarfile.TarFile, member: tarfile.TarInfo, entry: Entry | None, folder: Path
) -> None:
    """`entry.name` is one of `STATE`, so it stays below `folder`."""
    if entry is None or not member.isreg():
        raise BadArchive(f"the archive holds {member.name[:80]!r}, which is no state file or "
                         "not in its manifest")  # fmt: skip
    damaged = BadArchive(f"the archive is damaged: {entry.name} is not what was backed up")
    if member.size != entry.size_bytes:
        raise damaged
    path = folder / entry.name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        digest = _copy(_open(tar, member), file)
        file.flush()
        os.fsync(file.fileno())
    if digest != entry.sha256:
        raise damaged


def _open(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(member)
    assert file is not None  # A plain file has content.
    return file


def _copy(source: IO[bytes], target: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while data := source.read(CHUNK_BYTES):
        digest.update(data)
        target.write(data)
    return digest.hexdigest()
