"""Which settings there are: what is none in the file stops a start, in the environment it warns.

One file and one environment serve all services, so only here, where all are known, can it be told
that nobody reads a key.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

import structlog

from agent.settings import AgentSettings
from cli.client import ClientSettings
from cli.health_listener import HealthSettings
from cli.services import NAMES, settings_class
from libs.common.bus.settings import BusSettings
from libs.common.errors import SettingsError
from libs.common.settings import DormiceSettings

log = structlog.get_logger()

PREFIX = "DORMICE_"
OTHERS = frozenset({
    "DORMICE_TRACE", "DORMICE_ENROLL_TOKEN", "DORMICE_BENCH_HEALTHCHECKS",
    "DORMICE_JOB_ID", "DORMICE_GROUP", "DORMICE_STATUS",
})  # fmt: skip
"""Variables that are no field of a class: of commands, and those that hooks are given."""


def known_classes() -> list[type[DormiceSettings]]:
    from cli.up import UpSettings

    services = [settings_class(name) for name in NAMES]
    return [UpSettings, BusSettings, ClientSettings, HealthSettings, AgentSettings, *services]


def check_file(path: Path | None) -> None:
    """Raises: SettingsError: the file has a key that nothing reads, or cannot be read."""
    for fault in faults_of_file(path):
        raise SettingsError(fault)


def faults_of_file(path: Path | None) -> Iterator[str]:
    """Yield a line for each key of the file that nothing reads."""
    if path is None:
        return
    try:
        whole = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}".replace("\n", " ")[:200]) from None
    shared = {
        name for one in known_classes() if one.config_section is None for name in one.model_fields
    }
    tables = {one.config_section: one for one in known_classes() if one.config_section}
    for key in unknown(whole, {*shared, *tables}):
        yield f"{path}: there is no setting {key[:64]!r}{meant(key, {*shared, *tables})}"
    for name, one in tables.items():
        table = whole.get(name, {})
        for key in unknown(table if isinstance(table, dict) else {}, one.model_fields):
            yield f"{path}: [{name}] has no setting {key[:64]!r}{meant(key, one.model_fields)}"


def warn_of_variables(environment: Mapping[str, str] = os.environ) -> None:
    """Write one warning about all variables DORMICE_… that nothing reads."""
    known = known_variables()
    given = {name for name in environment if name.upper().startswith(PREFIX)}
    lost = [name for name in sorted(given) if name.upper() not in known]
    if lost:
        log.warning(
            "variables_not_known", variables=", ".join(_perhaps(one, known) for one in lost)
        )


def _perhaps(name: str, known: set[str]) -> str:
    """Return `DORMICE_OFLINE_AFTER (perhaps DORMICE_OFFLINE_AFTER)`."""
    near = nearest(name.upper().removeprefix(PREFIX), {one.removeprefix(PREFIX) for one in known})
    return name[:64] + (f" (perhaps {PREFIX}{near})" if near else "")


def known_variables() -> set[str]:
    fields = {one.variable(name) for one in known_classes() for name in one.model_fields}
    return fields | OTHERS


def unknown(given: Collection[str], known: Collection[str]) -> list[str]:
    return sorted(set(given) - set(known))


def meant(word: str, known: Collection[str]) -> str:
    """Return `; did you mean …?` with the nearest of `known`, or nothing if none is near."""
    near = nearest(word, known)
    return f"; did you mean {near}?" if near else ""


def nearest(word: str, known: Collection[str]) -> str | None:
    return next(iter(get_close_matches(word, sorted(known), n=1)), None)
