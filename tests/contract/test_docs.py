"""Every setting, metric and command is documented where a person would look for it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from cli.main import app, assemble
from cli.services import NAMES
from libs.common.metrics import LOOP_METRICS
from libs.common.settings import DormiceSettings

DOCS = Path(__file__).parents[2] / "docs"
MODULES = (
    "libs.common.bus.settings",
    "cli.up",
    "cli.health_listener",
    "agent.settings",
    *(f"services.{name}.settings" for name in NAMES),
)


def variables() -> set[str]:
    found = set()
    for name in MODULES:
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, type) and issubclass(value, DormiceSettings):
                found |= {value.variable(field) for field in value.model_fields}
    return found


@pytest.mark.parametrize("variable", sorted(variables()))
def test_setting_is_documented(variable: str) -> None:
    assert f"| `{variable}` |" in (DOCS / "configuration.md").read_text()


@pytest.mark.parametrize("metric", sorted(LOOP_METRICS))
def test_metric_is_documented(metric: str) -> None:
    assert f"`{metric}`" in (DOCS / "metrics.md").read_text()


def command_lines() -> list[str]:
    assemble()
    root = typer.main.get_command(app)
    lines: list[str] = []

    def walk(command: object, path: str) -> None:
        for name, child in getattr(command, "commands", {}).items():
            if isinstance(child, TyperGroup):
                walk(child, f"{path} {name}")
            elif not child.hidden:
                lines.append(f"{path} {name}")

    walk(root, "dormice")
    return lines


def test_every_command_is_documented() -> None:
    text = (DOCS / "cli.md").read_text()
    missing = [line for line in command_lines() if f"`{line}" not in text]
    assert missing == []
