"""What STYLE asks of every file, checked."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = [path for top in ("libs", "services", "agent", "cli") for path in (ROOT / top).rglob("*.py")]
TESTS = list((ROOT / "tests").rglob("*.py"))
TEXT_ENDINGS = {".py", ".md", ".toml", ".yml", ".yaml", ".lock", ".html", ".js", ".css", ".sql"}
MOST_LINES = 350


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CODE, ids=ids)
def test_file_is_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", CODE, ids=ids)
def test_file_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    if path.name == "__init__.py":
        assert text.strip() == "", "an __init__.py stays empty"
    else:
        assert ast.get_docstring(ast.parse(text)), "a module has a docstring"


@pytest.mark.parametrize("path", CODE, ids=ids)
def test_one_clock(path: Path) -> None:
    if path.name in ("clock.py", "ids.py"):
        return
    found = re.findall(
        r"datetime\.now\(|utcnow\(|time\.(time|monotonic)\(|uuid4\(", path.read_text()
    )
    assert found == []


def test_every_folder_of_code_is_a_package() -> None:
    bare = {path.parent for path in CODE if not (path.parent / "__init__.py").exists()}
    assert bare == set()


def test_every_service_has_its_page_and_its_parts() -> None:
    for service in sorted((ROOT / "services").iterdir()):
        if service.is_dir() and service.name != "__pycache__":
            for name in ("README.md", "app.py", "machine.py", "policy.py", "store.py"):
                assert (service / name).exists(), f"{service.name} has no {name}"


@pytest.mark.parametrize("path", TESTS, ids=ids)
def test_tests_are_never_skipped(path: Path) -> None:
    marks = r"pytest\.mark\.(skip|xfail)|pytest\.skip\(|importorskip|" + "unittest.mock"
    if path != Path(__file__):
        assert re.findall(marks, path.read_text()) == []


def test_no_path_of_a_machine_in_the_repository() -> None:
    pattern = re.compile(r"/home/[a-z]+/|/root/\.|/tmp/[a-z]/")
    tops = ("libs", "services", "agent", "cli", "deploy", "docs", "tests")
    for top in tops:
        for path in (ROOT / top).rglob("*"):
            if path.suffix in TEXT_ENDINGS and path != Path(__file__):
                assert not pattern.search(path.read_text()), path
