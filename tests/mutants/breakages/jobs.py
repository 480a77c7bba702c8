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
        "unit/test_runs.py",
    ),
    Mutant(
        "run-id-in-local-time",
        "R15",
        RUNS,
        'fire_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")',
        'fire_time.strftime("%Y-%m-%dT%H:%MZ")',
        "unit/test_runs.py",
    ),
    Mutant(
        "jobs-attempt-after-a-success",
        "R15",
        POLICY,
        "            return CatchupMove.RESTATE, job\n",
        "            break\n",
        f"{OF_POLICY} {OF_CATCHUP}",
    ),
    Mutant(
        "jobs-two-attempts-at-once",
        "R15",
        POLICY,
        "    if any(not other.ended for other in others):\n        return Next.UNDER_WAY\n",
        "",
        OF_POLICY,
    ),
    Mutant(
        "jobs-a-failure-follows-another-attempts-success",
        "R15",
        POLICY,
        "    if any(other.status in SUCCESSES for other in others):\n"
        "        return Next.SUCCEEDED\n",
        "",
        OF_POLICY,
    ),
    Mutant(
        "jobs-fourth-attempt-after-interruptions",
        "R15",
        POLICY,
        "Next.RECONNECT if len(counted) < MAX_ATTEMPTS else",
        "Next.RECONNECT if len(counted) <= MAX_ATTEMPTS else",
        OF_POLICY,
    ),
    Mutant(
        "jobs-same-request-is-a-further-attempt",
        "R15 R13",
        "services/jobs/catchup.py",
        "    if not store.add_request(tx, event.arm_id, event.schedule_id, event.source_group_id):\n"
        "        return\n",
        "    store.add_request(tx, event.arm_id, event.schedule_id, event.source_group_id)\n",
        OF_CATCHUP,
    ),
    Mutant(
        "jobs-same-fire-is-another-job",
        "R15",
        "services/jobs/fires.py",
        "    if not store.add_fire(tx, fire, id_of_attempt(_run(fire), 1)):\n        return\n",
        "    store.add_fire(tx, fire, id_of_attempt(_run(fire), 1))\n",
        OF_SENDING,
    ),
    Mutant(
        "jobs-a-later-end-replaces-the-first",
        "R15",
        "services/jobs/reports.py",
        "    if job.end_reported and not gives_way:\n        return\n",
        "",
        OF_ATTEMPTS,
    ),
    Mutant(
        "jobs-reconciles-before-the-reports-are-in",
        "R15",
        "services/jobs/sessions.py",
        "    for job in store.waiting(tx, event.host_id):\n        if job.next_try_at",
        "    reconcile(tx, hosts.find_host(tx, event.host_id) or host)\n"
        "    for job in store.waiting(tx, event.host_id):\n        if job.next_try_at",
        OF_ATTEMPTS,
    ),
    Mutant(
        "jobs-two-jobs-on-a-host",
        "R15",
        "services/jobs/sending.py",
        "if len(resting) == len(waiting) and not store.at_agent(tx, host_id):",
        "if len(resting) == len(waiting):",
        OF_SENDING,
    ),
    Mutant(
        "jobs-decline-of-an-older-session-counts",
        "R3 R17",
        "services/jobs/sending.py",
        "if job.status is JobStatus.REQUESTED and job.sent_session == event.session:",
        "if job.status is JobStatus.REQUESTED:",
        OF_SENDING,
    ),
    Mutant(
        "jobs-undeliverable-is-sent-again-in-the-same-session",
        "R16",
        "services/jobs/ledger.py",
        "sent_session=None, not_in_session=session)",
        "sent_session=None)",
        f"{OF_SENDING} {OF_CATCHUP}",
    ),
    Mutant(
        "jobs-undeliverable-is-not-told",
        "R16",
        "services/jobs/ledger.py",
        "    tx.emit(JobUndeliverable(**identity(job), session=session, at=tx.now, reason=reason))\n",
        "",
        f"{OF_SENDING} {OF_CATCHUP}",
    ),
    Mutant(
        "jobs-eleventh-try",
        "R17",
        SENDING,
        "    if tries >= MAX_TRIES:\n",
        "    if tries > MAX_TRIES:\n",
        f"{OF_POLICY} {OF_SENDING}",
    ),
    Mutant(
        "jobs-backoff-does-not-double",
        "R17",
        POLICY,
        "factor: int = 2 ** min(tries - 1, 30)",
        "factor: int = 1 ** min(tries - 1, 30)",
        OF_POLICY,
    ),
    Mutant(
        "jobs-an-equal-fire-supersedes",
        "R17",
        SENDING,
        "newest_fire > job.fire_time:",
        "newest_fire >= job.fire_time:",
        OF_POLICY,
    ),
    Mutant(
        "jobs-given-up-without-a-word",
        "R17",
        "services/jobs/sending.py",
        'abandon(tx, job, f"{why.value} ({reason}), {tries} times", loud=True)',
        'abandon(tx, job, f"{why.value} ({reason}), {tries} times")',
        OF_SENDING,
    ),
    Mutant(
        "jobs-time-away-counts-tries",
        "R17",
        "services/jobs/ledger.py",
        "    stop_sending(tx, job.job_id)\n    job = store.update_job(tx, job.job_id, sent_session=None, not",
        "    stop_sending(tx, job.job_id)\n"
        "    job = store.update_job(tx, job.job_id, tries=job.tries + 1)\n"
        "    job = store.update_job(tx, job.job_id, sent_session=None, not",
        OF_SENDING,
    ),
    Mutant(
        "jobs-not-tried-on-hello",
        "R17",
        "services/jobs/sessions.py",
        "            store.update_job(tx, job.job_id, next_try_at=None)  # Tried on hello (R17).\n",
        "            pass\n",
        OF_SENDING,
    ),
    Mutant(
        "jobs-fire-is-late-a-tick-early",
        "R17",
        POLICY,
        "FireVerdict.LATE if received_at - fire_time > LIVE_FIRE else",
        "FireVerdict.LATE if received_at - fire_time >= LIVE_FIRE else",
        OF_POLICY,
    ),
    Mutant(
        "jobs-sends-and-the-host-shows-no-decision",
        "R19",
        "services/jobs/sending.py",
        '    tx.decide(host.record.id, "job_sent",',
        '    tx.decide("", "job_sent",',
        OF_SENDING,
    ),
    Mutant(
        "jobs-a-host-ends-the-job-of-another",
        "R20",
        "services/jobs/reports.py",
        "    job = store.find_job(tx, event.job_id)\n"
        "    if job is not None and job.host_id != event.host_id:\n        return None\n",
        "    job = store.find_job(tx, event.job_id)\n",
        OF_ATTEMPTS,
    ),
)
