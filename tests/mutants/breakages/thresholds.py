"""Thresholds: whose holds for a host, and at once; and the ladder of reminders."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CHOICE = "libs/common/thresholds.py"
POLICY = "services/alerting/policy.py"
CONDITIONS = "services/alerting/conditions.py"
HOSTS = "services/alerting/hosts.py"
OF_CHOICE = "unit/test_thresholds.py"
OF_THRESHOLDS = "unit/alerting/test_thresholds.py"
OF_LADDER = "unit/alerting/test_ladder.py"

CHOOSING = (
    Mutant(
        "threshold-of-a-tag-before-the-hosts-own",
        "R5 R6",
        CHOICE,
        "    if own is not None:\n        return Threshold(own, Origin.HOST)\n",
        "    if own is not None and not host.tags:\n        return Threshold(own, Origin.HOST)\n",
        f"{OF_CHOICE}::test_r5_r6_which_threshold_holds",
    ),
    Mutant(
        "threshold-of-the-mildest-tag",
        "R5 R6",
        CHOICE,
        "        span, tag = min(of_tags)\n",
        "        span, tag = max(of_tags)\n",
        f"{OF_CHOICE}::test_r5_r6_which_threshold_holds",
    ),
    Mutant(
        "threshold-of-a-mode-for-nobody",
        "R5 R6",
        CHOICE,
        "    return None if of_mode is None else Threshold(of_mode, Origin.MODE, mode)\n",
        "    return None\n",
        f"{OF_CHOICE}::test_r5_r6_which_threshold_holds",
    ),
    Mutant(
        "threshold-change-holds-for-coming-alerts-only",
        "R5 R6",
        CONDITIONS,
        "            if self.expected(host, rules) != self.expected(host, before):\n",
        "            if rows.list_open(tx, host.id):\n",
        f"{OF_THRESHOLDS}::test_r5_a_change_holds_at_once_both_ways",
    ),
    Mutant(
        "threshold-longer-ends-nothing",
        "R5",
        CONDITIONS,
        "        self.end_if_too_early(tx, host)\n        self.look(tx, host)\n",
        "        self.look(tx, host)\n",
        f"{OF_THRESHOLDS}::test_r5_a_change_holds_at_once_both_ways",
    ),
    Mutant(
        "threshold-older-rules-undo-newer",
        "R5 R6",
        "libs/common/threshold_table.py",
        "    if rules.version <= get_rules(db).version:\n        return False\n",
        "",
        f"{OF_THRESHOLDS}::test_the_same_or_older_rules_again_change_nothing",
    ),
    Mutant(
        "threshold-shorter-than-offline-after",
        "R5",
        "services/registry/checks.py",
        "    if seconds is None or least.total_seconds() <= seconds < LONGEST.total_seconds():\n",
        "    if seconds is None or 1 <= seconds < LONGEST.total_seconds():\n",
        "unit/registry/test_thresholds.py::test_bad_thresholds_are_refused_in_words",
    ),
    Mutant(
        "threshold-never-in-its-bucket",
        "R18",
        "services/registry/thresholds.py",
        "    put(tx, new)\n",
        "",
        "unit/registry/test_thresholds.py::test_set_patched_and_cleared_each_told_and_audited",
    ),
)

LADDER = (
    Mutant(
        "ladder-a-tick-late",
        "R7",
        POLICY,
        "if age >= rung * threshold), default=0)",
        "if age > rung * threshold), default=0)",
        f"{OF_LADDER}::test_r7_rungs",
    ),
    Mutant(
        "ladder-without-its-last-rung",
        "R7",
        POLICY,
        "RUNGS = (2, 4, 12)\n",
        "RUNGS = (2, 4)\n",
        f"{OF_LADDER}::test_r7_told_again_at_each_rung_once_and_never_more",
    ),
    Mutant(
        "ladder-tells-at-every-look",
        "R7",
        CONDITIONS,
        "        if rung > alert.rung:\n",
        "        if rung:\n",
        f"{OF_LADDER}::test_r7_told_again_at_each_rung_once_and_never_more "
        f"{OF_LADDER}::test_r7_several_rungs_at_once_are_one_reminder",
    ),
    Mutant(
        "ladder-told-for-what-the-raise-has-told",
        "R7",
        CONDITIONS,
        "                rung=rung,\n",
        "",
        f"{OF_LADDER}::test_r7_what_was_passed_before_the_raise_is_told_with_it",
    ),
    Mutant(
        "ladder-forgotten-by-a-rebuild",
        "R7 R18",
        "services/alerting/follow.py",
        "alert.rung > known.rung:",
        "alert.rung < known.rung:",
        f"{OF_LADDER}::test_r7_r18_the_same_reminder_again_and_a_rebuild",
    ),
    Mutant(
        "ladder-climbs-before-the-reports-are-here",
        "R7 R10",
        CONDITIONS,
        "        if known is not None and verdict is StaleVerdict.DUE:\n",
        "        if known is not None and verdict in (\n"
        "            StaleVerdict.DUE, StaleVerdict.REPORTS_AWAITED\n"
        "        ):\n",
        f"{OF_LADDER}::test_r7_r10_no_rung_is_told_before_the_reports_have_arrived",
    ),
)

MUTANTS = (*CHOOSING, *LADDER)
