"""What restic's exit codes and lines mean, of old versions and of new ones."""

from __future__ import annotations

import pytest

from agent.engines import restic_reasons as reasons

OLD_LOCK = [
    "unable to create lock in backend: repository is already locked exclusively by PID 7 on box",
    "lock was created at 2026-06-15 02:00:00 (1s ago)",
    "the `unlock` command can be used to remove stale locks",
]


@pytest.mark.parametrize(
    ("code", "complaints", "reason"),
    [
        pytest.param(
            1, ["Fatal: wrong password or no key found"],
            "wrong repository password, or the repository has no key for it", id="password, old",
        ),
        pytest.param(
            12, ["Fatal: whatever"],
            "wrong repository password, or the repository has no key for it", id="password, new",
        ),
        pytest.param(1, OLD_LOCK, f"the repository is locked: {OLD_LOCK[0]}", id="locked, old"),
        pytest.param(11, [], "the repository is locked: by another", id="locked, new, no word"),
        pytest.param(
            1, ["Save(<data/1>) failed: write /repo/x: no space left on device", "Fatal: broken"],
            "no space left: Save(<data/1>) failed: write /repo/x: no space left on device",
            id="disk full",
        ),
        pytest.param(
            1, ["pack 1a: not found", "Fatal: repository contains errors"],
            "the repository is damaged: Fatal: repository contains errors", id="damaged",
        ),
        pytest.param(
            1, ["error: ciphertext verification failed", "Fatal: unable to load index 1"],
            "the repository is damaged: error: ciphertext verification failed", id="unreadable",
        ),
        pytest.param(-9, [], "restic was ended by signal SIGKILL", id="killed"),
        pytest.param(-9, ["x"], "restic was ended by signal SIGKILL: x", id="killed after words"),
        pytest.param(2, [], "restic exited with 2 and said nothing", id="silent"),
        pytest.param(1, ["a", "Fatal: last"], "Fatal: last", id="anything else"),
    ],
)  # fmt: skip
def test_reason(code: int, complaints: list[str], reason: str) -> None:
    assert reasons.reason(code, complaints) == reason


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("restic 0.10.1 compiled with go1.15", "restic 0.10 is too old: Dormice needs 0.11"),
        ("restic 0.9.6", "restic 0.9 is too old: Dormice needs 0.11 or later"),
        ("restic 0.11.0 compiled", None),
        ("restic 0.14.0 compiled", None),
        ("restic 1.0.0", None),
        ("what is a version?", None),
    ],
)
def test_version(said: str, problem: str | None) -> None:
    found = reasons.find_version_problem(reasons.version_of(said))
    assert (found or "").startswith(problem) if problem else found is None


@pytest.mark.parametrize(
    ("code", "complaints", "locked", "absent", "lost"),
    [
        (0, OLD_LOCK, False, False, False),
        (1, OLD_LOCK, True, False, False),
        (11, [], True, False, False),
        (10, [], False, True, False),
        (
            1,
            ["Is there a repository at the following location?", "stat /r/config: no such file"],
            False,
            True,
            False,
        ),
        (1, ["Fatal: failed to refresh lock in time"], False, False, True),
        (0, ["Fatal: failed to refresh lock in time"], False, False, False),
    ],
)
def test_what_can_be_done_about_it(
    code: int, complaints: list[str], *, locked: bool, absent: bool, lost: bool
) -> None:
    assert reasons.is_locked(code, complaints) is locked
    assert reasons.has_no_repository(code, complaints) is absent
    assert reasons.has_lost_lock(code, complaints) is lost
