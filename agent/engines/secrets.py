"""Cutting a repository's secrets out of everything that leaves the machine."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from libs.common.protocol import RepositoryConfig

SHORTEST = 4  # Shorter "secrets" would garble every text.
CUT = "***"


class Cleaner:
    """Replaces the repository's password, keys and URL wherever they stand in a text."""

    def __init__(self, repository: RepositoryConfig | None) -> None:
        found = _secrets_of(repository) if repository is not None else {}
        self._cuts = sorted(found.items(), key=lambda item: -len(item[0]))

    def clean(self, text: str) -> str:
        for secret, instead in self._cuts:
            text = text.replace(secret, instead)
        return text


def _secrets_of(repository: RepositoryConfig) -> dict[str, str]:
    secrets = [repository.password, *repository.environment.values()]
    address = repository.url.split(":", 1)[-1] if "://" in repository.url else repository.url
    try:
        password = urlsplit(address).password
    except ValueError:
        password = None
    secrets += [password, unquote(password)] if password else []
    cuts = {secret: CUT for secret in secrets if len(secret) >= SHORTEST}
    places = {repository.url, address, address.rstrip("/")}
    return cuts | {place: "<repository>" for place in places if len(place) >= SHORTEST}
