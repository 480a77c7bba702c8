"""Writes the thresholds of tags and modes."""

from __future__ import annotations

from libs.common.events.host import ThresholdRules
from libs.common.loop.tx import Tx
from services.ui.reads.thresholds import threshold_rules


def save_rules(tx: Tx, rules: ThresholdRules) -> None:
    """Keep rules that are newer than the known ones; every host may be told of otherwise now."""
    if rules.version <= threshold_rules(tx.db).version:
        return
    tx.db.execute(
        "INSERT OR REPLACE INTO threshold_rules VALUES (1, ?)", (rules.model_dump_json(),)
    )
    for (host_id,) in tx.db.execute("SELECT id FROM host WHERE removed = 0").fetchall():
        tx.signal("host", host_id)
