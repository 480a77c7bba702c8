"""The table `threshold_rules`, in the file of each service that knows the thresholds of tags and
modes as the registry told of them. Each makes it by a migration of its own."""

from __future__ import annotations

import sqlite3

from libs.common.events.host import ThresholdRules, read_rules


def get_rules(db: sqlite3.Connection) -> ThresholdRules:
    """Return the thresholds of tags and modes; version 0: there never were any."""
    row = db.execute("SELECT rules FROM threshold_rules").fetchone()
    return read_rules(row[0] if row else "{}")


def keep_newer(db: sqlite3.Connection, rules: ThresholdRules) -> bool:
    """Keep rules that are newer than the known ones; say whether they are."""
    if rules.version <= get_rules(db).version:
        return False
    db.execute(
        "INSERT OR REPLACE INTO threshold_rules (one, rules) VALUES (1, ?)",
        (rules.model_dump_json(),),
    )
    return True
