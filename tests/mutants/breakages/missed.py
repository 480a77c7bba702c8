"""Schedules that fired in vain on a host that was there."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

POLICY = "services/alerting/policy_missed.py"
MISSED = "services/alerting/missed.py"
TESTS = "unit/alerting/test_missed.py"

MUTANTS = (
    Mutant(
        "missed-although-away",
        "R14",
        POLICY,
        "    if not window.online:\n        return MissedVerdict.NOT_ONLINE\n",
        "",
        f"{TESTS}::test_when_a_fire_was_missed",
    ),
    Mutant(
        "missed-although-nobody-listened",
        "R10",
        POLICY,
        "    if window.listening_since is None or window.listening_since > window.fire_at:\n"
        "        return MissedVerdict.NOT_OBSERVED\n",
        "",
        f"{TESTS}::test_r10_nor_while_nobody_listened",
    ),
    Mutant(
        "missed-whatever-ran",
        "R14",
        MISSED,
        "    kept.see_run(tx, event.host_id, schedule, group, fire)\n",
        "",
        f"{TESTS}::test_r14_any_run_of_the_fire_will_do",
    ),
    Mutant(
        "missed-told-to-who-did-not-ask",
        "R14",
        "libs/common/thresholds.py",
        '    return _choose(host, rules, "missed_seconds")\n',
        '    return _choose(host, rules, "missed_seconds") or Threshold(\n'
        "        timedelta(hours=1), Origin.FLEET\n"
        "    )\n",
        f"{TESTS}::test_off_by_default",
    ),
    Mutant(
        "missed-does-not-end-with-the-next-run",
        "R14",
        MISSED,
        '        alerts.resolve(tx, alert, ResolveReason.RUN_PRODUCED, rule="R14")\n',
        "        pass\n",
        f"{TESTS}::test_r14_told_at_the_end_of_the_window_once",
    ),
    Mutant(
        "missed-expects-the-old-hour",
        "R14",
        MISSED,
        "            if expected is None or expected.rule != _rule(schedule):\n",
        "            if expected is None:\n",
        f"{TESTS}::test_another_hour_or_zone_moves_what_is_expected",
    ),
)
