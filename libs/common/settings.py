"""Settings: defaults, then a TOML file, then the environment, then what the command line says.

A class lists its fields; field `offline_after` is the variable DORMICE_OFFLINE_AFTER and the key
`offline_after` of the file (below the table `config_section`, if the class names one).
A wrong value ends the start with one line that names it.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSetting

from libs.common.durations import Duration, format_duration, parse_duration
from libs.common.errors import SettingsError

__all__ = ["DormiceSettings", "Duration", "SettingsError", "format_duration", "parse_duration"]


class DormiceSettings(BaseSettings):
    """The base of every settings class. Make one with `load`, never with the constructor."""

    model_config = SettingsConfigDict(
        env_prefix="DORMICE_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )
    config_section: ClassVar[str | None] = None
    """The table of the TOML file that is this class's own; unknown keys in it are refused."""

    @classmethod
    def load(cls, config_file: Path | None = None, **overrides: Any) -> Self:
        """Return the settings that hold. Overrides that are None count as not given.

        Raises:
            SettingsError: one line with the variable, key or file at fault.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        from_file = _read_table(cls, config_file) if config_file else {}
        unset = {name: value for name, value in from_file.items() if not cls._in_environment(name)}
        try:
            return cls(**{**unset, **given})
        except ValidationError as error:
            raise SettingsError(_first_fault(cls, error)) from None
        except UnreadableSetting as error:
            raise SettingsError(str(error).split("\n", 1)[0][:200]) from None

    @classmethod
    def variable(cls, field: str) -> str:
        """Return the environment variable of `field`."""
        return f"{cls.model_config.get('env_prefix', '')}{field}".upper()

    @classmethod
    def _in_environment(cls, field: str) -> bool:
        return bool(os.environ.get(cls.variable(field)))


def _read_table(cls: type[DormiceSettings], path: Path) -> dict[str, Any]:
    try:
        whole = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}".replace("\n", " ")[:200]) from None
    if cls.config_section is None:
        return whole
    table = whole.get(cls.config_section, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: {cls.config_section} must be a table")
    unknown = sorted(set(table) - set(cls.model_fields))
    if unknown:
        raise SettingsError(f"{path}: [{cls.config_section}] has no setting {unknown[0]!r}")
    return table


def _first_fault(cls: type[DormiceSettings], error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = str(first["loc"][0]) if first["loc"] else ""
    said = first["msg"].removeprefix("Value error, ")
    return f"{cls.variable(where)}: {said}" if where else said
