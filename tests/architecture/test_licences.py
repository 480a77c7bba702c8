"""What is installed with Dormice may be used by whoever runs it: permissive licences, or such as
bind only changes of the package itself."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distributions

import pytest

GOOD = re.compile(
    r"\b(MIT(-0)?|(0|Zero-Clause )?BSD|Apache|ISC|PSF|Python Software Foundation|MPL|"
    r"Mozilla Public)\b"
)
BAD = re.compile(r"\b(A|L)?GPL|General Public|Proprietary|Commercial", re.IGNORECASE)
INSTALLED = sorted(distributions(), key=lambda each: each.name.lower())


def licence_of(package: Distribution) -> str:
    """Return what a package says of its licence: the expression, else field and classifiers."""
    said = package.metadata
    if expression := said.get("License-Expression"):
        return str(expression)
    classifiers = [each for each in said.get_all("Classifier", []) if each.startswith("License")]
    return "; ".join([(said.get("License") or "").partition("\n")[0], *classifiers])


@pytest.mark.parametrize("package", INSTALLED, ids=lambda each: each.name)
def test_a_package_has_a_licence_that_anybody_can_live_with(package: Distribution) -> None:
    licence = licence_of(package)
    assert GOOD.search(licence), licence
    assert not BAD.search(licence), licence
