"""What is on disk when the machine has answered: a kill at that moment takes none of it."""

from __future__ import annotations

from pathlib import Path

from agent.machine import AgentMachine
from agent.settings import AgentSettings
from agent.state import StateDirectory
from agent.store import AgentStore
from libs.common.protocol import JobAccepted, JobDeclined
from tests.unit.agent.test_policy import CONFIG, NOW, RUN


def started(folder: Path) -> AgentMachine:
    """Return the machine of an agent that starts; the one before was killed, it closed nothing."""
    files = StateDirectory(folder)
    files.prepare()
    machine = AgentMachine(
        AgentSettings(state=folder), files, AgentStore(files.database), host_id="h1"
    )
    machine.start(NOW)
    return machine


def test_r15_an_accepted_job_is_never_started_again(tmp_path: Path) -> None:
    first = started(tmp_path)
    first.on_config(CONFIG, NOW)
    answer, work = first.on_run(RUN, NOW)
    assert answer == JobAccepted(job_id="j", state="accepted")
    assert work is not None
    assert started(tmp_path).on_run(RUN, NOW) == (
        JobAccepted(job_id="j", state="interrupted"),
        None,
    )


def test_r18_the_end_of_a_job_and_its_report_are_one_transaction(tmp_path: Path) -> None:
    first = started(tmp_path)
    first.on_config(CONFIG, NOW)
    first.on_run(RUN, NOW)
    second = started(tmp_path)
    assert second.ledger.unfinished() == []
    (report,) = second.spool.unsent(0, in_flight=10)
    assert '"status":"interrupted"' in report.body
    assert started(tmp_path).spool.count() == 1


def test_a_configuration_survives(tmp_path: Path) -> None:
    started(tmp_path).on_config(CONFIG, NOW)
    newer = RUN.model_copy(update={"config_version": CONFIG.version + 1})
    answer, _ = started(tmp_path).on_run(newer, NOW)
    assert answer == JobDeclined(job_id="j", reason="stale_config")
    answer, _ = started(tmp_path).on_run(RUN, NOW)
    assert answer == JobAccepted(job_id="j", state="accepted")
