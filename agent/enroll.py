"""Enrollment: one token, once, against a host id and an agent token."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agent import host
from agent.errors import AlreadyEnrolled, EnrollRefused, NotEnrolled
from agent.settings import AgentSettings
from agent.state import Identity, StateDirectory

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS = 30.0
WHAT_TO_DO = {
    401: "the enrollment token is unknown, used or expired; get another: dormice enroll-token",
    429: "too many failed tries from this address; wait a minute",
    503: "the control plane is not ready; try again in a moment",
}


def checked_gateway(url: str) -> str:
    """Return the gateway's base URL without a slash at its end. Raises EnrollRefused."""
    try:
        parts = urlsplit(url.strip())
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise EnrollRefused(f"{url[:128]!r} is not a gateway's URL; it is like http://HOST:8481")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise EnrollRefused("a gateway's URL has no user, password or query; the token goes apart")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def socket_url(gateway: str) -> str:
    """Return where the agent dials: ws or wss, `/agent/v1`."""
    return "ws" + checked_gateway(gateway).removeprefix("http") + "/agent/v1"


def enroll(
    url: str,
    token: str,
    settings: AgentSettings,
    *,
    name: str | None = None,
    force: bool = False,
) -> Identity:
    """Enroll this machine and store who it is now.

    Raises:
        EnrollRefused: the gateway said no, or could not be asked; the message says what to do.
        AlreadyEnrolled: the state directory has an identity, and `force` was not given.
        AgentRunning: an agent runs with this state directory.
    """
    files = StateDirectory(settings.state)
    files.prepare()
    files.lock()
    try:
        if not force and _is_enrolled(files):
            raise AlreadyEnrolled(f"{files.root} is enrolled already; --force makes it a new host")
        gateway = checked_gateway(url)
        answer = _asked(gateway, _request(token, name), settings)
        identity = Identity(
            host_id=answer["host_id"], agent_token=answer["agent_token"], gateway=gateway
        )
        files.forget_config()
        files.put_identity(identity)
        return identity
    finally:
        files.unlock()


def _is_enrolled(files: StateDirectory) -> bool:
    try:
        files.get_identity()
    except NotEnrolled:
        return False
    return True


def _request(token: str, name: str | None) -> dict[str, str]:
    request = {
        "token": token.strip(),
        "hostname": host.hostname(),
        "os": host.system(),
        "arch": host.architecture(),
        "timezone": host.timezone(),
    }
    return request | ({"name": name} if name else {})


def _asked(gateway: str, request: dict[str, str], settings: AgentSettings) -> dict[str, str]:
    import httpx  # Only here: a running agent needs neither it nor its memory.

    try:
        verify = True if settings.ca is None else ssl.create_default_context(cafile=settings.ca)
        answer = httpx.post(
            f"{gateway}/enroll", json=request, timeout=TIMEOUT_SECONDS, verify=verify
        )
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise EnrollRefused(f"cannot reach {gateway}: {error or type(error).__name__}") from None
    body = _body(answer)
    if answer.status_code != 201:
        raise EnrollRefused(_refusal(answer.status_code, body))
    if not isinstance(body.get("host_id"), str) or not isinstance(body.get("agent_token"), str):
        raise EnrollRefused(f"{gateway} does not answer like a Dormice gateway")
    return body


def _refusal(status: int, body: dict[str, Any]) -> str:
    said = next((body[key] for key in ("detail", "message", "title") if body.get(key)), "")
    if status in WHAT_TO_DO:
        return WHAT_TO_DO[status]
    return f"refused ({status}): {str(said)[:300] or 'no reason given'}"


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
