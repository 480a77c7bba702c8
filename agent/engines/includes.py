"""Which of a group's folders are there. Shared by the engines."""

from __future__ import annotations

from pathlib import Path


def split_by_presence(includes: list[str]) -> tuple[list[str], list[str]]:
    """Return the paths that exist, and those that do not; `~` is the agent's own home."""
    expanded = [str(Path(path).expanduser()) if path.startswith("~") else path for path in includes]
    present = [path for path in expanded if _exists(path)]
    return present, [path for path in expanded if path not in present]


def tell_missing(missing: list[str]) -> str:
    return "does not exist: " + ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # Too long a name, a null byte.
        return False
