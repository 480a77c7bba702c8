"""Names of hosts, as an agent's host name gives them and as a person writes them."""

from __future__ import annotations

import pytest

from libs.common.errors import BadInput
from services.registry import checks, policy


@pytest.mark.parametrize(("hostname", "name"), [
    pytest.param("web-3", "web-3", id="a name already"),
    pytest.param("Adas-MacBook.local", "adas-macbook.local", id="capitals and dots"),
    pytest.param("Ada's Mac", "ada-s-mac", id="blanks and quotes"),
    pytest.param("büro", "b-ro", id="one letter of another script"),
    pytest.param("ноутбук", "host", id="no letter that may stay"),
    pytest.param("a\x00b\nc\x1b[0m", "a-b-c--0m", id="control characters"),
    pytest.param("x" * 255, "x" * 64, id="too long"),
    pytest.param("..", "host", id="dots only"),
    pytest.param("İstanbul", "i-stanbul", id="lower case of two characters"),
])  # fmt: skip
def test_name_from_hostname(hostname: str, name: str) -> None:
    assert checks.check_hostname(hostname) == name
    assert policy.is_name(name)


@pytest.mark.parametrize("hostname", ["", "   ", "x" * 256, "x" * 10_240])
def test_impossible_hostname_is_refused(hostname: str) -> None:
    with pytest.raises(BadInput):
        checks.check_hostname(hostname)


@pytest.mark.parametrize(("given", "stored"), [
    ("web.example-1_x", "web.example-1_x"), ("Web-1", "web-1"), ("7", "7"), ("a" * 64, "a" * 64),
])  # fmt: skip
def test_name_by_a_person(given: str, stored: str) -> None:
    assert checks.check_name(given) == stored


@pytest.mark.parametrize("given", [
    "", " ", "my laptop", " web", "web\n", "a\x00b", "a" * 65, "a" * 10_240, "ноутбук", "-", ".",
    "..", "a/b", "a%2fb", "<b>", "😀",
])  # fmt: skip
def test_name_by_a_person_is_refused_with_an_example(given: str) -> None:
    with pytest.raises(BadInput, match="for example"):
        checks.check_name(given)


@pytest.mark.parametrize(("wanted", "taken", "free"), [
    pytest.param("web", set(), "web", id="free already"),
    pytest.param("web", {"web"}, "web-2", id="taken once"),
    pytest.param("web", {"web", "web-2", "web-3"}, "web-4", id="taken often"),
    pytest.param("a" * 64, {"a" * 64}, "a" * 62 + "-2", id="never over the length"),
])  # fmt: skip
def test_free_name(wanted: str, taken: set[str], free: str) -> None:
    assert policy.free_name(wanted, taken) == free
    assert policy.is_name(free)


@pytest.mark.parametrize(("given", "stored"), [
    ([], ()),
    (["Paris", "paris ", "EU West"], ("eu-west", "paris")),
    (["büro", "日本"], ("büro", "日本")),
    (["x" * 64], ("x" * 64,)),
    ([f"t{number:02}" for number in range(50)], tuple(f"t{number:02}" for number in range(50))),
])  # fmt: skip
def test_tags_are_normalised(given: list[str], stored: tuple[str, ...]) -> None:
    assert checks.check_tags(given) == stored


@pytest.mark.parametrize("given", [
    [""], ["  "], ["x" * 65], ["a\x07b"], ["a\nb"], ["a,b"], ["\u202eevil"], ["\ud800"],
    [f"t{number}" for number in range(51)],
])  # fmt: skip
def test_tags_are_refused(given: list[str]) -> None:
    with pytest.raises(BadInput):
        checks.check_tags(given)
