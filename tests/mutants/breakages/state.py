"""State backups: of one moment, with their keys, and nothing believed of an archive: R18, R20."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

ARCHIVE = "cli/state/archive.py"
OF_BACKUP = "unit/cli/state/test_backup.py"
OF_RESTORE = "unit/cli/state/test_restore.py"

MUTANTS = (
    Mutant(
        "state-copies-of-different-moments",
        "R18",
        "cli/state/snapshot.py",
        '                readers[name].execute("BEGIN")\n',
        "",
        f"{OF_BACKUP}::test_copies_of_several_files_are_of_one_moment",
    ),
    Mutant(
        "state-archive-that-all-can-read",
        "R20",
        "cli/state/backup.py",
        "os.O_EXCL, 0o600)",
        "os.O_EXCL, 0o644)",
        f"{OF_BACKUP}::test_r20_the_archive_is_for_its_owner_alone",
    ),
    Mutant(
        "state-any-path-of-an-archive-is-written",
        "R20",
        ARCHIVE,
        "    if entry.name not in STATE:\n",
        "    if not entry.name:\n",
        f"{OF_RESTORE}::test_r20_no_path_leads_out",
    ),
    Mutant(
        "state-links-of-an-archive-are-followed",
        "R20",
        ARCHIVE,
        "    if entry is None or not member.isreg():\n",
        "    if entry is None:\n",
        f"{OF_RESTORE}::test_r20_only_plain_files_are_unpacked",
    ),
    Mutant(
        "state-half-of-it-is-run-on",
        "R18",
        "cli/up.py",
        "        refuse_unfinished(self.data)\n",
        "",
        f"{OF_RESTORE}::test_a_volume_with_half_a_state_is_used_by_nothing_until_it_is_whole",
    ),
)
