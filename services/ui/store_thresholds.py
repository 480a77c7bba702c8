"""Writes the thresholds of tags and modes."""

from __future__ import annotations

from libs.common.events.host import ThresholdRules
from libs.common.loop.tx import Tx
from libs.common.threshold_table import keep_newer


def save_rules(tx: Tx, rules: ThresholdRules) -> None:
    """Keep rules that are newer than the known ones; every host may be told of otherwise now."""
    if not keep_newer(tx.db, rules):
        return
    for (host_id,) in tx.db.execute("SELECT id FROM host WHERE removed = 0").fetchall():
        tx.signal("host", host_id)
