"""Reads the thresholds of tags and modes, as the registry told them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from libs.common.events.host import ThresholdRules, read_rules
from services.ui.views import FleetDefaults


def threshold_rules(db: sqlite3.Connection) -> ThresholdRules:
    """Return the thresholds of tags and modes; version 0: there never were any."""
    found = db.execute("SELECT rules FROM threshold_rules").fetchone()
    return read_rules(found[0]) if found else ThresholdRules()


def defaults_in_force(db: sqlite3.Connection, fleet: FleetDefaults) -> FleetDefaults:
    """Return the fleet's thresholds with those of its tags and modes."""
    return replace(fleet, rules=threshold_rules(db))
