"""Random requests after the API's own description: each answer is described, and none is a 5xx."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.ui.test_bad_input import JSON, check_problem
from tests.integration.ui.world import World

REQUESTS_PER_OPERATION = 6
ODD_TEXTS = [
    "", " ", "x" * 70, "x" * 5000, "é", "日本語", "\x00", "a\x00b", "\u202e", "\uffff", "..", "%00",
    "' OR 1=1 --", "\r\nX: y", "*", "[*", '"', "null", "true", "0", "-1", "1e400", "fleet",
    "@daily", "0 0 30 2 *", "90s", "99999999999d", "-5s", "seen:>0001d", "backup:never,<1h",
    "../Paris",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "http://[", "http://127.0.0.1:99999/",
    "http://10.0.0.1/", "W10", "WyJuYW1lIiwwLCJhIiwiYiJd", "WyItYXQiLDAsMWUzMDAsIngiXQ",
    "eyJqb2JzIjoxMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDB9", "01ARZ3NDEKTSV4RRFFQ69G5FAV",
]  # fmt: skip
ODD_NUMBERS = [0, 1, -1, 5, 1001, 2**53, 2**62, -(2**62), 0.5, 1e18, 1e300]


class Guesser:
    """Makes values that a schema allows, and now and then some that it does not."""

    def __init__(self, seed: int, document: dict[str, Any]) -> None:
        self._random = random.Random(seed)
        self._schemas = document["components"]["schemas"]

    def chance(self, share: float) -> bool:
        return self._random.random() < share

    def text(self) -> str:
        return self._random.choice(ODD_TEXTS)

    def anything(self, depth: int = 0) -> Any:
        kinds = [None, True, False, self.text(), self._random.choice(ODD_NUMBERS)]
        if depth < 3 and self.chance(0.4):
            return [self.anything(depth + 1)] if self.chance(0.5) else {
                self.text(): self.anything(depth + 1)
            }  # fmt: skip
        return self._random.choice(kinds)

    def value(self, schema: dict[str, Any]) -> Any:
        if self.chance(0.1):
            return self.anything()
        if "$ref" in schema:
            return self.value(self._schemas[schema["$ref"].rpartition("/")[2]])
        for choices in ("anyOf", "oneOf"):
            if choices in schema:
                return self.value(self._random.choice(schema[choices]))
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        return self._of_type(schema)

    def _of_type(self, schema: dict[str, Any]) -> Any:
        match schema.get("type"):
            case "object":
                return dict(self._fields(schema))
            case "array":
                return [
                    self.value(schema.get("items", {})) for _ in range(self._random.randrange(3))
                ]
            case "boolean":
                return self.chance(0.5)
            case "integer" | "number":
                return self._random.choice(ODD_NUMBERS)
            case "null":
                return None
        return schema.get("const", self.text())

    def _fields(self, schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, one in schema.get("properties", {}).items():
            if name in schema.get("required", ()) or self.chance(0.5):
                yield name, self.value(one)
        if self.chance(0.1):
            yield self.text(), self.anything()


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_input_is_answered_with_5xx(world: World, seed: int) -> None:
    document = (await world.api.get("/openapi.json")).json()
    guess, known = Guesser(seed, document), await some_ids(world)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for _ in range(REQUESTS_PER_OPERATION):
                await ask(world, guess, known, (method, path, operation))


async def some_ids(world: World) -> dict[str, str]:
    """Make one of each; return parameter → id."""
    host = await world.enroll("web-1")
    group = await world.post(f"/hosts/{host}/source-groups", name="home", includes=["/home"])
    await world.put(f"/hosts/{host}/repository", url="/r", password="p")
    job = await world.post(f"/hosts/{host}/backup", source_group_id=group["id"], when_it_wakes=True)
    channel = await world.post(
        "/channels", name="ops", kind="webhook", config={"url": "http://hook.invalid/"}
    )
    return {
        "host_id": host, "item_id": group["id"], "job_id": job["job_id"], "entry_id": "1",
        "channel_id": channel["id"],
    }  # fmt: skip


async def ask(
    world: World, guess: Guesser, known: dict[str, str], what: tuple[str, str, dict[str, Any]]
) -> None:
    method, path, operation = what

    def one(match: re.Match[str]) -> str:
        named = "nope" if method == "delete" else known.get(match[1], "nope")
        return quote(guess.text() if guess.chance(0.2) else named, safe="")

    params = {
        parameter["name"]: str(guess.value(parameter["schema"]))
        for parameter in operation["parameters"]
        if parameter["in"] == "query" and guess.chance(0.3)
    }
    more: dict[str, Any] = {}
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        more = {
            "content": json.dumps(guess.value(schema)),
            "headers": JSON,
        }
    address = re.sub(r"{(\w+)}", one, path).removeprefix("/api/v1")
    answer = await world.api.request(method, address, params=params, **more)
    if answer.status_code >= 400:
        check_problem(answer)
    else:
        assert str(answer.status_code) in operation["responses"], (method, path, answer.status_code)
