"""What restic's exit codes and lines mean, of old versions and of new ones."""

from __future__ import annotations

import pytest

from agent.engines import restic_reasons as reasons
from libs.common.protocol import FailureReason

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
    assert reasons.tell(code, complaints) == reason


GONE_AMID = [
    "Save(<data/1>) returned error, retrying after 1s: dial tcp: connect: connection refused",
    "Fatal: unable to save snapshot: Post: connection refused",
]
NO_LOCK = ['unable to create lock in backend: Post "<repository>locks/1": connection refused']
SFTP = [
    "subprocess ssh: ssh: connect to host box port 22: No route to host",
    "Fatal: unable to open repository at <it>: unable to start the sftp session, error: EOF",
]
REFUSED_KEY = ["subprocess ssh: me@box: Permission denied (publickey).", SFTP[1]]
NO_NAME = [
    "Fatal: unable to open config file: lookup box: no such host",
    "Is there a repository at the following location?",
]
DIED_OF_BOTH = ["Load(<data/1>): connection reset by peer", "ciphertext verification failed"]


@pytest.mark.parametrize(
    ("code", "complaints", "reason"),
    [
        pytest.param(1, NO_NAME, FailureReason.REPOSITORY_UNREACHABLE, id="no such name"),
        pytest.param(1, SFTP, FailureReason.REPOSITORY_UNREACHABLE, id="no way there"),
        pytest.param(1, GONE_AMID, FailureReason.REPOSITORY_UNREACHABLE, id="it went away"),
        pytest.param(1, NO_LOCK, FailureReason.REPOSITORY_UNREACHABLE, id="none to lock"),
        pytest.param(
            1, ["Load(<index/1>) returned error: i/o timeout"],
            FailureReason.REPOSITORY_UNREACHABLE, id="no answer, so no index",
        ),
        pytest.param(
            1, ["Fatal: unexpected HTTP response (503): 503 Service Unavailable"],
            FailureReason.REPOSITORY_UNREACHABLE, id="what stands before it answers",
        ),
        pytest.param(1, REFUSED_KEY, None, id="reached, and refused"),
        pytest.param(1, DIED_OF_BOTH, FailureReason.REPOSITORY_DAMAGED, id="damage is worse"),
        pytest.param(0, NO_NAME, None, id="all is well"),
        pytest.param(12, [], FailureReason.WRONG_PASSWORD, id="password"),
        pytest.param(1, OLD_LOCK, FailureReason.REPOSITORY_LOCKED, id="locked"),
        pytest.param(1, ["no space left on device"], FailureReason.NO_SPACE, id="full"),
        pytest.param(10, [], FailureReason.REPOSITORY_ABSENT, id="absent"),
        pytest.param(-9, [], FailureReason.PROGRAM_KILLED, id="killed"),
        pytest.param(1, ["Fatal: something else"], None, id="anything else"),
    ],
)  # fmt: skip
def test_reasons_have_names(code: int, complaints: list[str], reason: FailureReason | None) -> None:
    assert reasons.find_reason(code, complaints) is reason


def test_a_repository_that_cannot_be_reached_is_neither_locked_nor_absent() -> None:
    for complaints in (NO_NAME, SFTP, NO_LOCK, GONE_AMID):
        assert not reasons.is_locked(1, complaints)
        assert not reasons.has_no_repository(1, complaints)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("/srv/backup", True), ("backup", True), ("local:/srv/backup", True), ("C:\\backup", True),
        ("rest:http://box/", False), ("sftp:box:/srv", False), ("s3:https://box/b", False),
    ],
)  # fmt: skip
def test_what_lies_on_this_machine(url: str, local: bool) -> None:
    assert reasons.is_local(url) is local


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
