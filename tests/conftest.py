"""Chooses how long properties are tried, before any test is imported."""

from __future__ import annotations

from tests.effort import load_profile

load_profile()
