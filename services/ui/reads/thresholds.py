"""Reads the thresholds of tags and modes, as the registry told them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from libs.common.threshold_table import get_rules
from services.ui.views import FleetDefaults


def defaults_in_force(db: sqlite3.Connection, fleet: FleetDefaults) -> FleetDefaults:
    """Return the fleet's thresholds with those of its tags and modes."""
    return replace(fleet, rules=get_rules(db))
