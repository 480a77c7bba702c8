"""What fits into a laptop's stay: the smallest first where the rest usually does not: R13."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

FIT = "services/catchup/policy_fit.py"
HABITS = "services/catchup/habits.py"
OF_FIT = "unit/catchup/test_fit.py"

MUTANTS = (
    Mutant(
        "a-stay-has-no-settle",
        "R13",
        FIT,
        "settle + run <= habit.stay",
        "run <= habit.stay",
        f"{OF_FIT}::test_fit",
    ),
    Mutant(
        "what-fits-nowhere-goes-first",
        "R13",
        FIT,
        "    if all(fits(pair, habit, settle) for pair in pairs):\n",
        "    if True:\n",
        f"{OF_FIT}::test_order",
    ),
    Mutant(
        "one-lid-is-a-habit",
        "R13",
        HABITS,
        "USUAL = 2\n",
        "USUAL = 1\n",
        f"{OF_FIT}::test_a_run_that_is_cut_off_makes_room_for_the_smaller",
    ),
    Mutant(
        "a-bounce-is-a-stay",
        "R13",
        "services/catchup/store.py",
        "(online_since IS NULL OR NOT online)",
        "(online_since IS NULL OR online >= 0)",
        f"{OF_FIT}::test_a_bounce_is_no_stay_of_its_own",
    ),
)
