"""Jobs: attempts at runs, whoever starts them, and what waits to be sent: R15 to R17."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

POLICY = "services/jobs/policy.py"
SENDING = "services/jobs/policy_sending.py"
OF_POLICY = "unit/jobs/test_policy.py"
OF_SENDING = "unit/jobs/test_sending.py"
OF_ATTEMPTS = "unit/jobs/test_attempts.py"
OF_CATCHUP = "unit/jobs/test_catchup.py"
RUNS = "libs/common/runs.py"

MUTANTS = (
    Mutant(
        "run-id-with-a-random-part",
        "R15",
        RUNS,
        "    return str(uuid5(NAMESPACE_OID, name))\n",
        '    return str(uuid5(NAMESPACE_OID, name + __import__("secrets").token_hex()))\n',
        "unit/test_runs.py::test_r15_the_id_of_a_run",
    ),
    Mutant(
        "run-id-in-local-time",
        "R15",
        RUNS,
        'fire_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")',
        'fire_time.strftime("%Y-%m-%dT%H:%MZ")',
        "unit/test_runs.py::test_r15_the_id_of_a_run",
    ),
    Mutant(
        "jobs-attempt-after-a-success",
        "R15",
        POLICY,
        "            return CatchupMove.RESTATE, job\n",
        "            break\n",
        f"{OF_POLICY}::test_r15_catchup",
    ),
    Mutant(
        "jobs-two-attempts-at-once",
        "R15",
        POLICY,
        "    if any(not other.ended for other in others):\n        return Next.UNDER_WAY\n",
        "",
        f"{OF_POLICY}::test_r15_next_attempt",
    ),
    Mutant(
        "jobs-a-failure-follows-another-attempts-success",
        "R15",
        POLICY,
        "    if any(other.status in SUCCESSES for other in others):\n"
        "        return Next.SUCCEEDED\n",
        "",
        f"{OF_POLICY}::test_r15_next_attempt",
    ),
    Mutant(
        "jobs-fourth-attempt-after-interruptions",
        "R15",
        POLICY,
        "Next.RECONNECT if len(counted) < MAX_ATTEMPTS else",
        "Next.RECONNECT if len(counted) <= MAX_ATTEMPTS else",
        f"{OF_POLICY}::test_r15_next_attempt",
    ),
    Mutant(
        "jobs-same-request-is-a-further-attempt",
        "R15 R13",
        "services/jobs/catchup.py",
        "    if not store.add_request(tx, *asked, put_off=event.put_off):\n        return\n",
        "    store.add_request(tx, *asked, put_off=event.put_off)\n",
        f"{OF_CATCHUP}::test_the_same_request_again_at_any_time_is_no_further_attempt",
    ),
    Mutant(
        "jobs-same-fire-is-another-job",
        "R15",
        "services/jobs/fires.py",
        "    if not store.add_fire(tx, fire, id_of_attempt(_run(fire), 1)):\n        return\n",
        "    store.add_fire(tx, fire, id_of_attempt(_run(fire), 1))\n",
        f"{OF_SENDING}::test_an_ignored_fire_stays_ignored_when_it_is_told_again",
    ),
    Mutant(
        "jobs-a-later-end-replaces-the-first",
        "R15",
        "services/jobs/reports.py",
        "    if job.end_reported and not gives_way:\n        return\n",
        "",
        f"{OF_ATTEMPTS}::test_interrupted_gives_way_to_a_reported_end_and_its_next_attempt_is_withdrawn",
    ),
    Mutant(
        "jobs-reconciles-before-the-reports-are-in",
        "R15",
        "services/jobs/sessions.py",
        "    for job in waiting:\n        if job.next_try_at",
        "    reconcile(tx, hosts.find_host(tx, event.host_id) or host)\n"
        "    for job in waiting:\n        if job.next_try_at",
        f"{OF_ATTEMPTS}::test_reconciliation_waits_for_the_reports",
    ),
    Mutant(
        "jobs-two-jobs-on-a-host",
        "R15",
        "services/jobs/sending.py",
        "if len(resting) == len(waiting) and not store.at_agent(tx, host_id):",
        "if len(resting) == len(waiting):",
        f"{OF_SENDING}::test_one_running_job_per_host_the_other_fire_is_held_and_renewed",
    ),
    Mutant(
        "jobs-decline-of-an-older-session-counts",
        "R3 R17",
        "services/jobs/sending.py",
        "if job.status is JobStatus.REQUESTED and job.sent_session == event.session:",
        "if job.status is JobStatus.REQUESTED:",
        f"{OF_SENDING}::test_r3_a_decline_of_an_older_session_says_nothing_about_the_newer",
    ),
    Mutant(
        "jobs-undeliverable-is-sent-again-in-the-same-session",
        "R16",
        "services/jobs/ledger.py",
        "sent_session=None, not_in_session=session)",
        "sent_session=None)",
        f"{OF_SENDING}::test_r16_undeliverable_waits_for_the_next_hello_same_id",
    ),
    Mutant(
        "jobs-undeliverable-is-not-told",
        "R16",
        "services/jobs/ledger.py",
        "    tx.emit(JobUndeliverable(**identity(job), session=session, at=tx.now, reason=reason))\n",
        "",
        f"{OF_SENDING}::test_r16_undeliverable_waits_for_the_next_hello_same_id",
    ),
    Mutant(
        "jobs-eleventh-try",
        "R17",
        SENDING,
        "    if tries >= MAX_TRIES or",
        "    if tries > MAX_TRIES or",
        f"{OF_POLICY}::test_r17_after_a_try",
    ),
    Mutant(
        "jobs-backoff-does-not-double",
        "R17",
        POLICY,
        "factor: int = 2 ** min(tries - 1, 30)",
        "factor: int = 1 ** min(tries - 1, 30)",
        f"{OF_POLICY}::test_r17_backoff",
    ),
    Mutant(
        "jobs-an-equal-fire-supersedes",
        "R17",
        SENDING,
        "newest_fire > job.fire_time:",
        "newest_fire >= job.fire_time:",
        f"{OF_POLICY}::test_r17_waiting",
    ),
    Mutant(
        "jobs-given-up-without-a-word",
        "R17",
        "services/jobs/sending.py",
        "loud=job.kind is JobKind.BACKUP)",
        "loud=False)",
        f"{OF_SENDING}::test_r17_declined_backs_off_doubling_ten_tries_then_loud",
    ),
    Mutant(
        "jobs-time-away-counts-tries",
        "R17",
        "services/jobs/ledger.py",
        "    stop_sending(tx, job)\n    job = store.update_job(tx, job.job_id, sent_session=None, not",
        "    stop_sending(tx, job)\n"
        "    job = store.update_job(tx, job.job_id, tries=job.tries + 1)\n"
        "    job = store.update_job(tx, job.job_id, sent_session=None, not",
        f"{OF_SENDING}::test_r17_time_away_counts_no_tries_and_a_hello_is_a_try",
    ),
    Mutant(
        "jobs-not-tried-on-hello",
        "R17",
        "services/jobs/sessions.py",
        "            store.update_job(tx, job.job_id, next_try_at=None)  # Tried on hello (R17).\n",
        "            pass\n",
        f"{OF_SENDING}::test_r17_tried_on_hello_whatever_the_backoff",
    ),
    Mutant(
        "jobs-fire-is-late-a-tick-early",
        "R17",
        POLICY,
        "FireVerdict.LATE if received_at - fire_time > LIVE_FIRE else",
        "FireVerdict.LATE if received_at - fire_time >= LIVE_FIRE else",
        f"{OF_POLICY}::test_r17_fire",
    ),
    Mutant(
        "jobs-sends-and-the-host-shows-no-decision",
        "R19",
        "services/jobs/sending.py",
        '    tx.decide(host.record.id, "job_sent",',
        '    tx.decide("", "job_sent",',
        f"{OF_SENDING}::test_r19_each_step_of_a_job_is_explained_at_its_host",
    ),
    Mutant(
        "jobs-a-host-ends-the-job-of-another",
        "R20",
        "services/jobs/reports.py",
        "    job = store.find_job(tx, event.job_id)\n"
        "    if job is not None and job.host_id != event.host_id:\n        return None\n",
        "    job = store.find_job(tx, event.job_id)\n",
        f"{OF_ATTEMPTS}::test_a_host_cannot_end_the_job_of_another",
    ),
)
