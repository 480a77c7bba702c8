"""A repository that nobody answers for: its catch-up is put off, never dropped nor doubled."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

OUTCOMES = "services/catchup/outcomes.py"
REASONS = "agent/engines/restic_reasons.py"
OF_CATCHUP = "unit/catchup/test_unreachable.py"
OF_JOBS = "unit/jobs/test_policy.py"
OF_REASONS = "unit/agent/test_restic_reasons.py"

MUTANTS = (
    Mutant(
        "out-of-reach-is-a-failure-of-the-catch-up",
        "R13",
        "services/jobs/policy.py",
        "    if is_put_off(job, status, always_on=always_on):\n        return Next.PUT_OFF\n",
        "",
        f"{OF_JOBS}::test_an_unreachable_repository_puts_a_catch_up_off",
    ),
    Mutant(
        "a-put-off-run-keeps-its-slot",
        "R13",
        OUTCOMES,
        "            if not (isinstance(event, JobFinished) and event.is_put_off):\n",
        "            if True:\n",
        f"{OF_CATCHUP}::test_it_holds_no_slot_meanwhile_and_queues_like_any_other",
    ),
    Mutant(
        "an-end-told-again-ends-the-next-attempt",
        "R15",
        OUTCOMES,
        "            elif is_news:",
        "            else:",
        f"{OF_CATCHUP}::test_the_same_end_told_again_ends_no_later_attempt",
    ),
    Mutant(
        "out-of-reach-without-a-pause",
        "R13",
        "services/catchup/policy.py",
        "    if at.unreachable_until is not None and now < at.unreachable_until:\n",
        "    if at.unreachable_until is not None and now > at.unreachable_until:\n",
        "unit/catchup/test_policy.py::test_r12_arm",
    ),
    Mutant(
        "another-repository-waits-too",
        "R13",
        "services/catchup/progress.py",
        "return arm.retry_at if arm.retry_repository == host.record.repository_id else None",
        "return arm.retry_at",
        f"{OF_CATCHUP}::test_another_repository_is_tried_at_once",
    ),
    Mutant(
        "a-further-request-is-taken-for-the-same",
        "R15",
        "services/jobs/store.py",
        "WHERE excluded.put_off > catchup_request.put_off",
        "WHERE excluded.put_off < catchup_request.put_off",
        "unit/jobs/test_catchup.py"
        "::test_what_could_not_reach_its_repository_is_asked_for_again_and_nobody_is_alarmed",
    ),
    Mutant(
        "out-of-reach-is-taken-for-locked",
        "repositories",
        REASONS,
        "    return cannot and not is_unreachable(code, complaints)\n",
        "    return cannot\n",
        f"{OF_REASONS}::test_a_repository_that_cannot_be_reached_is_neither_locked_nor_absent",
    ),
    Mutant(
        "a-name-begins-a-line-of-its-own",
        "repositories",
        "agent/jobs.py",
        '.decode("utf-8").translate(_CONTROLS)',
        '.decode("utf-8")',
        "integration/agent/test_odd_folders.py::test_a_name_begins_no_line_of_its_own",
    ),
    Mutant(
        "damage-is-taken-for-out-of-reach",
        "repositories",
        REASONS,
        "    if code == 0 or any(sign in said for sign in (*_DAMAGED, *_NO_ROOM)):\n",
        "    if code == 0:\n",
        f"{OF_REASONS}::test_reasons_have_names",
    ),
)
