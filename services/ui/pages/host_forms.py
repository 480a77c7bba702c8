"""Forms of a host's page: mode, backup, details, removal.

Each checks login, role, same origin (403), then the host (404), then the form (400); only then is
anything asked of the owner. What the owner refuses is said on the host's page, with its status.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Controller, Response, post
from litestar.response import Redirect

from libs.common.errors import DormiceError
from services.ui.calls import Answer
from services.ui.guards import BadForm, page, read_form, same_origin
from services.ui.pages import bulk, forms
from services.ui.pages.failures import describe
from services.ui.pages.host import host_page
from services.ui.pages.rendering import PageRequest, PathId, to
from services.ui.site import site_of

Answered = Response[str] | Redirect


async def checked_form(request: PageRequest, host_id: str) -> dict[str, str]:
    """Return the fields of a form about a host. Raises: HostNotFound, then BadForm."""
    await site_of(request).get_host(host_id, request.user)
    return await read_form(request)


async def change(
    request: PageRequest, host_id: str, work: Callable[[], Awaitable[str]],
    typed: dict[str, str] | None = None,
) -> Answered:  # fmt: skip
    """Do `work`, which returns what to say, and show the host; or say there what was refused."""
    try:
        said = await work()
    except DormiceError as error:
        status, text = describe(error)
        return await host_page(request, host_id, status=status, problem=text, typed=typed)
    return to(f"/hosts/{host_id}", said)


async def ask(
    request: PageRequest, service: str, verb: str, host_id: str, **arguments: Any
) -> Answer:
    asked = {"host_id": host_id, **arguments}
    return await site_of(request).calls.ask(service, verb, asked, request.user)


class HostForms(Controller):
    path = "/hosts/{host_id:str}"
    guards = (
        page("operator"),
        same_origin,
    )

    @post("/mode", status_code=303)
    async def save_mode(self, request: PageRequest, host_id: PathId) -> Redirect:
        """`always_on` present, with any value, is always-on; absent is intermittent."""
        form = await checked_form(request, host_id)
        await ask(request, "registry", "set_mode", host_id, always_on="always_on" in form)
        return to(f"/hosts/{host_id}")

    @post("/backup", status_code=303)
    async def back_up(self, request: PageRequest, host_id: PathId) -> Answered:
        form = await checked_form(request, host_id)
        site, group = site_of(request), form.get("source_group_id") or None
        try:
            done = await bulk.back_up_host(site, host_id, request.user, group)
        except DormiceError as error:
            status, text = describe(error)
            return await host_page(request, host_id, status=status, problem=text)
        said = done.said
        return to(f"/hosts/{host_id}", said, n=done.now, m=done.later, k=done.failed)

    @post("/details", status_code=303)
    async def save_details(self, request: PageRequest, host_id: PathId) -> Answered:
        form = await checked_form(request, host_id)

        async def work() -> str:
            asked = {
                "name": form.get("name", ""), "tags": forms.words_of(form.get("tags", "")),
                "thresholds": {
                    "offline_seconds": forms.seconds_of(form.get("offline", "")),
                    "stale_seconds": forms.seconds_of(form.get("stale", "")),
                    "missed_seconds": forms.seconds_of(form.get("missed", "")),
                },
            }  # fmt: skip
            await ask(request, "registry", "patch_host", host_id, **asked)
            return "details"

        return await change(request, host_id, work, {**form, "_form": "details"})

    @post("/remove", status_code=303, guards=[page("admin")])
    async def remove(self, request: PageRequest, host_id: PathId) -> Redirect:
        await checked_form(request, host_id)
        await ask(request, "registry", "remove_host", host_id)
        return to("/", "removed")

    @post("/repository", status_code=303)
    async def save_repository(self, request: PageRequest, host_id: PathId) -> Answered:
        """What was typed is never sent back, not even if it is refused."""
        form = await checked_form(request, host_id)

        async def work() -> str:
            if not form.get("url", "").strip() or not form.get("password"):
                raise BadForm("a repository has an address and a password")
            environment = forms.environment_of(form.get("environment", ""))
            await ask(
                request, "registry", "set_repository", host_id, url=form["url"].strip(),
                password=form["password"], environment=environment,
            )  # fmt: skip
            return "repository"

        return await change(request, host_id, work, {"_form": "repository"})
