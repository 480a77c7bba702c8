"""Shows what a plan would do, and does it: what the host has already is left as it is."""

from __future__ import annotations

import shlex
from typing import Any

from cli.adopt.plan import Group, Plan, without_password
from cli.asking import read_secret
from cli.finding import find_host
from cli.options import Ask
from cli.parts import parts_of
from cli.table import Row
from libs.common.errors import BadInput

HEAD = 12


def show(ask: Ask, plan: Plan, step: str) -> None:
    """Print a plan; nothing is changed."""
    if ask.as_json:
        ask.out.json(as_dict(plan))
        return
    lines = [f"{head:<{HEAD}}{text}" for head, text in told(plan)]
    ask.out.lines(lines or ["nothing was found that can be taken over"])
    if plan.groups:
        ask.out.say("", step)


def as_dict(plan: Plan) -> dict[str, Any]:
    return {
        "source_groups": [group_body(group) for group in plan.groups],
        "schedules": [
            {"source_group": one.group, "cron": one.cron, "timezone": one.timezone}
            for one in plan.schedules
        ],
        "repositories": [without_password(one.url) for one in plan.repositories],
        "notes": plan.notes,
    }


def told(plan: Plan) -> list[tuple[str, str]]:
    """Return a plan as heads and texts."""
    lines = [("group", _group_text(group)) for group in plan.groups]
    for one in plan.schedules:
        zone = f" {one.timezone}" if one.timezone else ""
        lines.append(("schedule", f"{one.cron}{zone}: {one.group}"))
    for repository in plan.repositories:
        file = repository.password_file
        password = f", password in {file}" if file else ", without its password"
        lines.append(("repository", without_password(repository.url) + password))
    return lines + [("not taken", note) for note in plan.notes]


def _group_text(group: Group) -> str:
    text = f"{group.name}: {' '.join(group.includes)}"
    if group.excludes:
        text += f" without {' '.join(group.excludes)}"
    if group.retention:
        rules = " ".join(f"{name[5:]}={value}" for name, value in group.retention.items())
        text += f", keeps {rules}"
    return text + "".join(f", {name}: {command}" for name, command in group.hooks.items())


def group_body(group: Group) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": group.name, "includes": list(group.includes), "excludes": list(group.excludes),
    }  # fmt: skip
    if group.retention:
        body["retention"] = group.retention
    if group.hooks:
        body["hooks"] = group.hooks
    return body


def apply(ask: Ask, word: str, plan: Plan) -> None:
    """Give a host what the plan says and it lacks. Raises: BadInput before anything is changed."""
    host = find_host(ask.client, word)
    if not plan.groups:
        raise BadInput("nothing was found that can be taken over")
    if len(plan.repositories) > 1:
        shown = ", ".join(without_password(one.url) for one in plan.repositories)
        raise BadInput(f"a host has one repository, and here are several: {shown}")
    repository = _repository_body(host, plan)
    done = [*_add_groups(ask, host, plan), *_add_schedules(ask, host, plan)]
    if repository is not None:
        ask.client.put(f"/hosts/{host['id']}/repository", repository)
        done.append("repository")
    text = f"{host['name']}: took over {', '.join(done)}" if done else (
        f"{host['name']} has all of it already")  # fmt: skip
    step = f"dormice host show {host['name']}"
    if plan.repositories and repository is None and not host["has_repository"]:
        shown = without_password(plan.repositories[0].url)
        text = text if done else f"{host['name']} has all the rest already"
        text += f"; not its repository {shown}: the password is in no file that is named here"
        step = f"dormice repository set {host['name']} {shlex.quote(shown)}"
    ask.out.result({"host_id": host["id"], "done": done, "notes": plan.notes}, text, step)


def _repository_body(host: Row, plan: Plan) -> dict[str, Any] | None:
    """Return the repository to set: none if the host has one, or its password is in no file."""
    if host["has_repository"] or not plan.repositories:
        return None
    (repository,) = plan.repositories
    if repository.password_file is None:
        return None
    password = read_secret("Repository password", repository.password_file)
    return {"url": repository.url, "password": password}


def _add_groups(ask: Ask, host: Row, plan: Plan) -> list[str]:
    known = {one["name"] for one in parts_of(ask.client, host, "source-groups")}
    added = []
    for group in plan.groups:
        if group.name not in known:
            ask.client.post(f"/hosts/{host['id']}/source-groups", group_body(group))
            added.append(f"group {group.name}")
    return added


def _add_schedules(ask: Ask, host: Row, plan: Plan) -> list[str]:
    ids = {one["name"]: one["id"] for one in parts_of(ask.client, host, "source-groups")}
    known = {
        (one["cron"], group_id)
        for one in parts_of(ask.client, host, "schedules")
        for group_id in one["source_group_ids"]
    }
    added = []
    for wanted in plan.schedules:
        group_id = ids[wanted.group]
        if (" ".join(wanted.cron.split()), group_id) in known:
            continue
        body = {"cron": wanted.cron, "source_group_ids": [group_id]}
        if wanted.timezone:
            body["timezone"] = wanted.timezone
        ask.client.post(f"/hosts/{host['id']}/schedules", body)
        added.append(f"schedule {wanted.cron}")
    return added
