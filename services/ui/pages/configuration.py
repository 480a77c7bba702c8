"""Forms of a host's page that say what is backed up and when: schedules and source groups."""

from __future__ import annotations

from typing import Any

from litestar import Controller, post
from litestar.exceptions import NotFoundException

from services.ui.guards import page, same_origin
from services.ui.pages import forms
from services.ui.pages.host_forms import Answered, ask, change, checked_form
from services.ui.pages.rendering import PageRequest, PathId
from services.ui.site import is_id, site_of

VERBS: dict[str, tuple[str, dict[str, Any], str]] = {
    "enable": ("patch_schedule", {"enabled": True}, "schedule"),
    "disable": ("patch_schedule", {"enabled": False}, "schedule"),
    "remove": ("delete_schedule", {}, "schedule-removed"),
}


class ConfigurationForms(Controller):
    path = "/hosts/{host_id:str}"
    guards = (
        page("operator"),
        same_origin,
    )

    @post("/schedules", status_code=303)
    async def add_schedule(self, request: PageRequest, host_id: PathId) -> Answered:
        await site_of(request).get_host(host_id, request.user)
        fields = await forms.read_many(request)
        form = {key: values[-1] for key, values in fields.items()}

        async def work() -> str:
            asked = {
                "name": form.get("name", "").strip() or None, "cron": form.get("cron", "").strip(),
                "timezone": form.get("timezone", "").strip() or None,
                "source_group_ids": fields.get("group", []),
                "catch_up": "latest_once" if "catch_up" in form else "off",
            }  # fmt: skip
            await ask(request, "registry", "create_schedule", host_id, **asked)
            return "schedule"

        return await change(request, host_id, work, {**form, "_form": "schedule"})

    @post("/schedules/{item_id:str}/{verb:str}", status_code=303)
    async def change_schedule(
        self, request: PageRequest, host_id: PathId, item_id: PathId, verb: PathId
    ) -> Answered:
        await checked_form(request, host_id)
        if verb not in VERBS or not is_id(item_id):
            raise NotFoundException
        name, values, said = VERBS[verb]

        async def work() -> str:
            await ask(request, "registry", name, host_id, id=item_id, **values)
            return said

        return await change(request, host_id, work)

    @post("/source-groups", status_code=303)
    async def add_group(self, request: PageRequest, host_id: PathId) -> Answered:
        form = await checked_form(request, host_id)

        async def work() -> str:
            asked = {
                "name": form.get("name", "").strip(),
                "includes": forms.lines(form.get("includes", "")),
                "excludes": forms.lines(form.get("excludes", "")),
                "retention": forms.retention_of(form.get("retention", "")),
            }
            await ask(request, "registry", "create_source_group", host_id, **asked)
            return "group"

        return await change(request, host_id, work, {**form, "_form": "group"})

    @post("/source-groups/{item_id:str}/remove", status_code=303)
    async def remove_group(
        self, request: PageRequest, host_id: PathId, item_id: PathId
    ) -> Answered:
        await checked_form(request, host_id)
        if not is_id(item_id):
            raise NotFoundException

        async def work() -> str:
            await ask(request, "registry", "delete_source_group", host_id, id=item_id)
            return "group-removed"

        return await change(request, host_id, work)
