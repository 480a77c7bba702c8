"""The registry's table of the thresholds of tags and modes."""

from __future__ import annotations

from libs.common.events.host import ThresholdRules, read_rules
from libs.common.loop.tx import Tx


def get_rules(tx: Tx) -> ThresholdRules:
    """Return the rules; none were ever made: version 0."""
    row = tx.db.execute("SELECT rules FROM threshold_rules").fetchone()
    return read_rules(row[0]) if row else ThresholdRules()


def save_rules(tx: Tx, rules: ThresholdRules) -> None:
    tx.db.execute(
        "INSERT OR REPLACE INTO threshold_rules VALUES (1, ?, ?)",
        (rules.version, rules.model_dump_json()),
    )
