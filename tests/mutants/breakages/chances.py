"""The second clock of staleness: chances to back up that went by."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

POLICY = "services/alerting/policy_chances.py"
CHANCES = "services/alerting/chances.py"
TESTS = "unit/alerting/test_chances.py"

MUTANTS = (
    Mutant(
        "chances-two-sessions-are-enough",
        "R6",
        POLICY,
        "SESSIONS_AT_LEAST = 3\n",
        "SESSIONS_AT_LEAST = 2\n",
        f"{TESTS}::test_r6_when_it_is_due",
    ),
    Mutant(
        "chances-the-shortest-session-counts",
        "R6",
        POLICY,
        "    if chances.since is None or now - chances.since < CHANCE_FROM:\n",
        "    if chances.since is None:\n",
        f"{TESTS}::test_r6_the_session_of_the_success_and_short_ones_do_not_count",
    ),
    Mutant(
        "chances-a-backup-forgets-nothing",
        "R6 R9",
        POLICY,
        "    return Chances(since=chances.since if is_later else None)\n",
        "    return chances\n",
        f"{TESTS}::test_a_success_forgets_all_but_a_session_that_began_after_it",
    ),
    Mutant(
        "chances-darkness-counts",
        "R10",
        CHANCES,
        "policy_chances.without_blackout(known, dark_from, since))",
        "known)",
        f"{TESTS}::test_r10_time_in_which_nobody_listened_is_no_chance",
    ),
    Mutant(
        "chances-judged-before-the-reports-are-here",
        "R10",
        CHANCES,
        "        return ChanceVerdict.REPORTS_AWAITED if waits else "
        "policy_chances.assess(chances, tx.now)\n",
        "        return policy_chances.assess(chances, tx.now) if waits else "
        "policy_chances.assess(chances, tx.now)\n",
        f"{TESTS}::test_r10_after_a_long_blackout_it_waits_for_the_reports",
    ),
    Mutant(
        "chances-an-old-backup-ends-the-alert",
        "R6 R18",
        CHANCES,
        "datetime.fromisoformat(before) < success_at)",
        "datetime.fromisoformat(before) <= success_at)",
        f"{TESTS}::test_r18_a_rebuild_and_a_new_file_keep_the_alert",
    ),
    Mutant(
        "chances-of-a-server",
        "R8",
        CHANCES,
        "    elif not judged:\n",
        "    elif not judged and not host.always_on:\n",
        f"{TESTS}::test_r6_r8_r9_what_ends_it",
    ),
)
