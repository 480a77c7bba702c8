"""Jobs on repositories: one at a time, where it belongs, unlocked after a cut, told as it was."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

OF_KINDS = "unit/jobs/test_kinds.py"
OF_RESTIC = "integration/agent/test_restic_kinds.py"
OF_CUTS = "integration/agent/test_cut_off.py"
VOICE = "agent/engines/restic_voice.py"

MUTANTS = (
    Mutant(
        "two-jobs-lock-a-repository",
        "repositories",
        "services/jobs/sending.py",
        "    if repository is None or job.kind not in LOCKING:\n",
        "    if repository is None or job.kind in LOCKING:\n",
        f"{OF_KINDS}::test_one_at_a_time_in_each_repository",
    ),
    Mutant(
        "a-prune-begins-beside-a-backup",
        "repositories",
        "services/jobs/sending.py",
        "        holder = store.find_using(tx, repository, job.job_id)\n",
        "        holder = None\n",
        f"{OF_KINDS}::test_a_prune_waits_for_backups_and_is_not_overtaken",
    ),
    Mutant(
        "a-waiting-prune-is-overtaken",
        "repositories",
        "services/jobs/sending.py",
        "        holder = store.find_next_to_lock(tx, repository, job.job_id)\n",
        "        holder = None\n",
        f"{OF_KINDS}::test_a_prune_waits_for_backups_and_is_not_overtaken",
    ),
    Mutant(
        "nobody-is-told-that-a-repository-is-free",
        "repositories",
        "services/jobs/ends.py",
        "    unlock(tx, job, host)\n",
        "",
        f"{OF_KINDS}::test_one_at_a_time_in_each_repository",
    ),
    Mutant(
        "a-sleeping-host-holds-a-repository",
        "repositories",
        "services/jobs/store.py",
        '        "AND host_id IN (SELECT host_id FROM host WHERE online)",\n'
        "        repository_id, but,\n",
        '        "",\n        repository_id, but,\n',
        f"{OF_KINDS}::test_whatever_ends_the_lock_lets_the_next_go",
    ),
    Mutant(
        "a-laptop-checks-for-the-fleet",
        "repositories",
        "services/jobs/policy_kinds.py",
        "    return min(fit, key=lambda host: host.record.id, default=asked)\n",
        "    return asked\n",
        f"{OF_KINDS}::test_where_it_is_done",
    ),
    Mutant(
        "stale-locks-stay",
        "repositories",
        VOICE,
        '        await self.run("unlock")\n',
        '        await self.run("version")\n',
        f"{OF_CUTS}::test_a_prune_that_was_cut_off_keeps_no_backup_from_running",
    ),
    Mutant(
        "every-lock-is-removed",
        "repositories",
        VOICE,
        '        await self.run("unlock")\n',
        '        await self.run("unlock", "--remove-all")\n',
        f"{OF_RESTIC}::test_a_job_removes_a_stale_lock_that_is_in_its_way",
    ),
    Mutant(
        "a-path-of-a-restore-is-a-pattern",
        "repositories",
        "agent/engines/restic_kinds.py",
        '    return _GLOB.sub(r"\\\\\\1", path)\n',
        "    return path\n",
        f"{OF_RESTIC}::test_restore_takes_all_or_some_back",
    ),
    Mutant(
        "a-viewer-starts-jobs",
        "R20",
        "services/jobs/calls.py",
        '    "start": Verb(on_start, StartOf, role="operator"),\n',
        '    "start": Verb(on_start, StartOf),\n',
        "unit/jobs/test_calls.py::test_backup_refusals",
    ),
    Mutant(
        "a-job-runs-as-long-as-it-likes",
        "repositories",
        "agent/machine.py",
        "            timeout = timedelta(seconds=run.timeout_seconds)\n",
        "            pass\n",
        f"{OF_RESTIC}::test_a_job_is_stopped_after_its_time",
    ),
)
