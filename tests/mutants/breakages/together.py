"""What comes together is decided together, and leaves what one by one would: R18, effects."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

ANSWERS = "libs/common/loop/answers.py"
CORE = "libs/common/loop/core.py"
OUTCOMES = "libs/common/loop/outcomes.py"
OF_TOGETHER = "unit/loop/test_together.py"
OF_MANY = "unit/notify/test_many.py"

MUTANTS = (
    Mutant(
        "loop-outcomes-of-dropped-effects-count-if-they-come-together",
        "effects",
        OUTCOMES,
        "reversed(first.items()) if row_id in rows]",
        "reversed(first.items()) if row_id]",
        f"{OF_TOGETHER}::test_outcomes_that_come_together_are_decided_together",
    ),
    Mutant(
        "loop-outcomes-that-fail-together-are-lost-together",
        "effects",
        ANSWERS,
        "service=self._service)\n            tx.back_to(mark)\n            return False\n",
        "service=self._service)\n            tx.back_to(mark)\n",
        f"{OF_TOGETHER}::test_outcomes_that_cannot_be_decided_together_are_taken_one_by_one",
    ),
    Mutant(
        "loop-inputs-beside-one-that-fails-are-told-twice",
        "one-transaction outbox",
        ANSWERS,
        "                raise\n            tx.back_to(mark)\n            return False\n",
        "                raise\n            return False\n",
        f"{OF_TOGETHER}::test_an_input_that_fails_among_others_takes_back_what_it_did_and_no_more",
    ),
    Mutant(
        "loop-last-works-beside-one-that-fails-are-told-twice",
        "one-transaction outbox",
        CORE,
        "                raise\n            tx.back_to(mark)\n            return error\n",
        "                raise\n            return error\n",
        f"{OF_TOGETHER}::test_last_work_that_fails_among_others_takes_back_what_it_did_and_no_more",
    ),
    Mutant(
        "loop-nobody-hears-an-own-event",
        "R18",
        CORE,
        "        if self.machine.knows_own:\n",
        "        if self.machine:\n",
        f"{OF_TOGETHER}::test_an_own_event_is_heard_again_only_by_who_needs_to",
    ),
    Mutant(
        "notify-a-storm-is-told-again-when-its-alerts-are-forgotten",
        "effects",
        "services/notify/telling_many.py",
        "        if paced or alert.id in apart:",
        "        if paced:",
        f"{OF_MANY}::test_what_was_told_is_not_told_again_when_only_the_alert_is_forgotten",
    ),
)
