"""What `dormice agent status` says, from the state directory alone: an agent need not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent import schedule
from agent.errors import NotEnrolled
from agent.settings import AgentSettings
from agent.spool import Spool
from agent.state import StateDirectory
from agent.store import AgentStore
from libs.common.clock import SystemClock, to_rfc3339


def describe(settings: AgentSettings) -> dict[str, Any]:
    """Return what `status` shows, from the state directory alone; it holds no secret."""
    files = StateDirectory(settings.state)
    facts: dict[str, Any] = {"state_directory": str(files.root), "running": files.is_running()}
    try:
        identity = files.get_identity()
        facts |= {"enrolled": True, "host_id": identity.host_id, "gateway": identity.gateway}
    except NotEnrolled:
        return facts | {"enrolled": False}
    facts |= {"engine": settings.engine, "status": files.find_status()}
    applied = files.find_config()
    if applied is not None:
        fire = schedule.next_fire_time(applied.config, SystemClock().now())
        facts["config_version"] = applied.config.version
        facts["next_fire"] = None if fire is None else to_rfc3339(fire)
        facts["problem"] = schedule.find_problem(applied.config)
        facts["repository"] = "set" if applied.config.repository else "not set"
    if files.database.exists():
        facts |= _spool_facts(files.database, settings)
    return facts


def _spool_facts(path: Path, settings: AgentSettings) -> dict[str, Any]:
    store = AgentStore(path)
    try:
        spool = Spool(store, limit_bytes=settings.spool_bytes)
        full = spool.is_full()
        facts: dict[str, Any] = {
            "reports_waiting": spool.count(),
            "reports_bytes": spool.size(),
            "spool_full": full,
        }
    finally:
        store.close()
    if full:
        facts["blocked"] = "no new run: the reports of earlier ones fill the spool"
    return facts


def lines_of(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the facts as a person reads them: (what, a word for it)."""
    noted = facts.get("status") or {}
    last = noted.get("last_job")
    lines = [
        ("state", noted.get("state", "starting") if facts["running"] else "not running"),
        ("host", facts.get("host_id", "not enrolled")),
        ("gateway", facts.get("gateway")),
        ("engine", facts.get("engine")),
        ("configuration", _version(facts)),
        ("problem", facts.get("problem")),
        ("repository", facts.get("repository")),
        ("next backup", facts.get("next_fire")),
        ("running job", noted.get("job") if facts["running"] else None),
        ("last job", f"{last['id']} {last['status'].replace('_', ' ')}" if last else None),
        ("reports", _reports(facts)),
        ("blocked", facts.get("blocked")),
        ("directory", facts["state_directory"]),
    ]
    return [(what, said) for what, said in lines if said is not None]


def next_step(facts: dict[str, Any]) -> str | None:
    """Return the command that is obviously next, if one is."""
    if not facts["enrolled"]:
        return "dormice agent enroll URL"
    return None if facts["running"] else "dormice agent run"


def _version(facts: dict[str, Any]) -> str | None:
    if not facts["enrolled"]:
        return None
    return f"version {facts['config_version']}" if "config_version" in facts else "none yet"


def _reports(facts: dict[str, Any]) -> str | None:
    waiting = facts.get("reports_waiting")
    if waiting is None:
        return None
    return f"{waiting} waiting for the gateway" if waiting else "all delivered"
