"""The AsyncAPI document fits the official JSON schema of AsyncAPI 3, and the check can fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from tests.npm import node_modules

pytestmark = pytest.mark.npm
DOCUMENT = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"


@pytest.fixture(scope="module")
def official() -> Draft7Validator:
    file = node_modules() / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"
    return Draft7Validator(json.loads(file.read_text()))


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    return loaded


def test_the_document_fits_the_official_schema(official: Draft7Validator) -> None:
    assert document()["asyncapi"] == "3.0.0"
    errors = [f"{list(error.path)}: {error.message[:200]}" for error in
              official.iter_errors(document())]  # fmt: skip
    assert errors == []


def test_what_does_not_fit_is_noticed(official: Draft7Validator) -> None:
    wrong = document()
    name = next(iter(wrong["operations"]))
    wrong["operations"][name]["action"] = "shout"
    assert not official.is_valid(wrong)
    del wrong["operations"]
    wrong["chanels"] = {}
    assert not official.is_valid(wrong)
