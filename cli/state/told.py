"""What the two commands say: as facts for machines, and as a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.state.archive import Entry, Manifest
from cli.state.backup import STDOUT, Backup
from cli.state.files import DATABASES
from cli.words import size


def backup_facts(made: Backup) -> dict[str, Any]:
    return {
        "file": str(made.target),
        "size_bytes": made.size_bytes,
        "holds_secrets": True,
        **_manifest_facts(made.manifest),
        "left_out": list(made.strangers),
    }


def restore_facts(manifest: Manifest, folder: Path) -> dict[str, Any]:
    return {"data": str(folder), **_manifest_facts(manifest)}


def _manifest_facts(manifest: Manifest) -> dict[str, Any]:
    return {
        "format": manifest.format,
        "version": manifest.version,
        "made_at": manifest.made_at,
        "files": [{"name": one.name, "size_bytes": one.size_bytes} for one in manifest.files],
    }


def backup_sentence(made: Backup) -> str:
    where = "on stdout" if made.target == STDOUT else f"in {made.target}"
    return (
        f"the state of {made.folder} is {where} ({size(made.size_bytes)}): "
        f"{_contents(made.manifest.files)}. It holds secrets: keep it where only you can read it."
    )


def restore_sentence(manifest: Manifest, folder: Path) -> str:
    return (
        f"the state of {manifest.made_at[:19].replace('T', ' ')} UTC (dormice {manifest.version}) "
        f"is in {folder}: {_contents(manifest.files)}"
    )


def is_whole(manifest: Manifest) -> bool:
    """Say whether all services are there, so that an `up` can begin on it."""
    return {one.name for one in manifest.files} >= set(DATABASES)


def _contents(files: Sequence[Entry]) -> str:
    services = [one.name.removesuffix(".db") for one in files if one.name in DATABASES]
    secrets = [one.name for one in files if one.name not in DATABASES]
    parts = [", ".join(part) for part in (services, secrets) if part]
    return f"{size(sum(one.size_bytes for one in files))} of {' with '.join(parts)}"
