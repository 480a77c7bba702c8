"""The HTTP API as the command line uses it: where it is, who we are, and errors in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from libs.common.addresses import Listen
from libs.common.errors import BadInput, RemoteError, Unauthorized, Unavailable
from libs.common.settings import DormiceSettings

PREFIX = "/api/v1"
TIMEOUT_SECONDS = 20.0
PAGE = 1000
ANYWHERE = ("0.0.0.0", "::", "")  # noqa: S104  # What a listener says, nowhere to dial.


class ClientSettings(DormiceSettings):
    """`url` and `token` say where and who; unset, an `up` on `data` is taken for meant."""

    data: Path = Path("dormice-data")
    url: str | None = None
    token: SecretStr | None = None
    ui_listen: Listen = "127.0.0.1:8480"
    admin_token: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """An address of the API and the token for it."""

    url: str
    token: str


def find_where(settings: ClientSettings) -> Where:
    """Return where to ask. The token of the data directory goes to its own `up` only.

    Raises: BadInput (the address is none), Unauthorized (no token).
    """
    local = local_url(settings)
    url = (settings.url or local).rstrip("/").removesuffix(PREFIX)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{url[:80]!r} is no address; write it as http://HOST:8480")
    if settings.token is not None:
        return Where(url, settings.token.get_secret_value())
    if url != local:
        raise Unauthorized(f"no API token for {url}: set DORMICE_TOKEN")
    return Where(url, _local_token(settings))


def local_url(settings: ClientSettings) -> str:
    """Return the address of the `up` on the data directory: as it said itself, else as set."""
    said = settings.data / "ui.url"
    if said.exists():
        return said.read_text("utf-8").strip().rstrip("/")
    host, _, port = settings.ui_listen.rpartition(":")
    reach = "127.0.0.1" if host.strip("[]") in ANYWHERE else host
    return f"http://{reach}:{port}"


def _local_token(settings: ClientSettings) -> str:
    if settings.admin_token is not None:
        return settings.admin_token.get_secret_value()
    path = settings.data / "admin-token"
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        raise Unauthorized(
            f"no `dormice up` has run on {settings.data}: say --data, or --url and DORMICE_TOKEN"
        ) from None
    except OSError as error:
        raise Unauthorized(f"cannot read {path}: {error.strerror}; set DORMICE_TOKEN") from None


class Client:
    """Asks the API. Every method raises DormiceError with one line: RemoteError for its answer,
    Unavailable if nothing answers."""

    def __init__(self, where: Where) -> None:
        self.where = where
        self._http = httpx.Client(
            base_url=where.url + PREFIX,
            headers={"Authorization": f"Bearer {where.token}", "Accept": "application/json"},
            timeout=TIMEOUT_SECONDS,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        given = {name: value for name, value in params.items() if value is not None}
        return self._ask("GET", path, params=given)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._ask("POST", path, json=body or {})

    def put(self, path: str, body: dict[str, Any]) -> Any:
        return self._ask("PUT", path, json=body)

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        return self._ask("PATCH", path, json=body)

    def delete(self, path: str, **params: Any) -> None:
        self._ask("DELETE", path, params=params)

    def items(self, path: str, most: int | None = None, **params: Any) -> Iterator[dict[str, Any]]:
        """Yield a list's items over all its pages, at most `most`."""
        left, cursor = most, None
        while left is None or left > 0:
            limit = PAGE if left is None else min(left, PAGE)
            page = self.get(path, limit=limit, cursor=cursor, **params)
            yield from page["items"]
            cursor = page["next"]
            left = None if left is None else left - len(page["items"])
            if cursor is None or not page["items"]:
                return

    def _ask(self, method: str, path: str, **how: Any) -> Any:
        try:
            answer = self._http.request(method, path, **how)
        except httpx.ConnectError:
            raise Unavailable(
                f"nothing listens on {self.where.url}; is `dormice up` running?"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise Unavailable(f"{self.where.url} does not answer: {why}") from None
        return self._read(answer)

    def _read(self, answer: httpx.Response) -> Any:
        if answer.is_success and not answer.content:
            return None
        try:
            body = json.loads(answer.content)
        except ValueError:
            body = None
        if answer.is_success and body is not None:
            return body
        if not isinstance(body, dict) or "status" not in body:
            raise Unavailable(
                f"{self.where.url} is not Dormice's API: HTTP {answer.status_code} to {PREFIX}"
            )
        raise problem_error(body)


def problem_error(body: dict[str, Any]) -> RemoteError:
    """Return an RFC 9457 problem as an error of one line."""
    said = str(body.get("detail") or body.get("title") or f"HTTP {body['status']}")
    message = " ".join(said.split())
    for mistake in body.get("errors", [])[1:]:
        message += f"; {mistake.get('field')}: {mistake.get('message')}"
    if body["status"] == 401:
        message += " (DORMICE_TOKEN, --token)"
    return RemoteError(str(body.get("code", "internal")), message)
