"""The form of a channel: its fields by kind, and what is asked of notify for what was typed. Pure.

An empty field of a secret asks for nothing, so that a form can be saved without knowing it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from libs.common.errors import BadInput
from libs.common.events.alert import AlertKind, Severity
from libs.common.weekly import DAYS

_HTTPS = "https://hooks.example/dormice"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a kind's configuration; `choices`: one of these."""

    name: str
    label: str
    example: str = ""
    required: bool = False
    secret: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KindForm:
    """A kind of channel as people make one. `paced`: it takes quiet hours and a rate of ours."""

    title: str
    help: str
    fields: tuple[Field, ...]
    paced: bool = True


FORMS: dict[str, KindForm] = {
    "webhook": KindForm(
        "webhook", "With a secret every message is signed. It is never shown again.",
        (Field("url", "Address", _HTTPS, required=True), Field("secret", "Secret", secret=True)),
    ),
    "smtp": KindForm(
        "mail address", "Several addresses with commas. A password needs TLS or STARTTLS.",
        (
            Field("host", "Mail server", "mail.example", required=True),
            Field("port", "Port, if not the usual one", "587"),
            Field("security", "Encryption", choices=("starttls", "tls", "none")),
            Field("username", "User name"), Field("password", "Password", secret=True),
            Field("sender", "From", "dormice@mail.example", required=True),
            Field("to", "To", "ops@mail.example", required=True),
        ),
    ),
    "ntfy": KindForm(
        "ntfy topic", "The token, if the topic needs one, is never shown again.",
        (
            Field("url", "Server", "https://ntfy.sh", required=True),
            Field("topic", "Topic", "backups", required=True),
            Field("token", "Token", secret=True),
        ),
    ),
    "alertmanager": KindForm(
        "Alertmanager", "It is told of every alert while it is open; it routes and groups itself.",
        (
            Field("url", "Address", "http://alertmanager:9093", required=True),
            Field("token", "Bearer token", secret=True),
        ),
        paced=False,
    ),
    "apprise": KindForm(
        "chat or other service", "An Apprise URL: Telegram, Matrix, Slack, … It is a secret.",
        (Field("url", "Apprise URL", "tgram://…", required=True, secret=True),),
    ),
}  # fmt: skip


def form_of(kind: str) -> KindForm:
    """Raises: BadInput."""
    if kind not in FORMS:
        raise BadInput("there is no such kind of channel")
    return FORMS[kind]


def config_of(kind: str, form: dict[str, str], *, new: bool) -> dict[str, Any]:
    """Return the configuration that was typed; an emptied field of an old channel is taken away."""
    config: dict[str, Any] = {}
    for field in form_of(kind).fields:
        text = form.get(field.name, "").strip()
        if text:
            config[field.name] = _read(field.name, text)
        elif not new and not field.secret:
            config[field.name] = None
    return config


def wishes_of(kind: str, form: dict[str, str], hosts: dict[str, str]) -> dict[str, Any]:
    """Return filter, quiet hours and rate as typed. `hosts`: ids by name. Raises: BadInput."""
    wishes: dict[str, Any] = {"filter": _filter(form, hosts)}
    if form_of(kind).paced:
        wishes |= {"quiet_hours": _quiet(form), "rate_limit": _rate(form)}
    return wishes


def listed(text: str) -> list[str]:
    """Return what is separated by commas or blanks."""
    return text.replace(",", " ").split()


def _read(name: str, text: str) -> Any:
    return int(text) if name == "port" and text.isascii() and text.isdigit() else text


def _filter(form: dict[str, str], hosts: dict[str, str]) -> dict[str, list[str]] | None:
    wanted: dict[str, list[str]] = {
        "severities": [one.value for one in Severity if f"severity-{one}" in form],
        "kinds": [one.value for one in AlertKind if f"kind-{one}" in form],
        "tags": listed(form.get("tags", "")),
        "host_ids": [hosts[name] for name in listed(form.get("hosts", "").lower())],
    }
    return {name: values for name, values in wanted.items() if values} or None


def _quiet(form: dict[str, str]) -> dict[str, Any] | None:
    begins, ends = form.get("quiet_from", "").strip(), form.get("quiet_to", "").strip()
    if not begins and not ends:
        return None
    if not begins or not ends:
        raise BadInput("quiet hours need both: from when, and to when")
    return {
        "from": begins[:5],
        "to": ends[:5],
        "timezone": form.get("quiet_zone", "").strip() or "UTC",
        "days": [day for day in DAYS if f"day-{day}" in form] or list(DAYS),
        "breaks_through": [str(one) for one in Severity if f"break-{one}" in form],
    }


def _rate(form: dict[str, str]) -> dict[str, int] | None:
    messages, minutes = (form.get(f"rate_{name}", "").strip() for name in ("messages", "minutes"))
    if not messages and not minutes:
        return None
    if not (messages.isascii() and messages.isdigit() and minutes.isascii() and minutes.isdigit()):
        raise BadInput("a rate needs two numbers: so many messages, in so many minutes")
    return {"messages": int(messages[:9]), "minutes": int(minutes[:9])}
