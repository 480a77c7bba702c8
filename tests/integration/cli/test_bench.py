"""`dormice bench fleet` on a small fleet: every phase happens, and what it reads is true."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.timeout(300)
def test_a_small_fleet_lives_its_day(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "bench", "fleet", "--hosts", "12", "--minutes", "0.1",
         "--backups", "2", "--data", str(tmp_path), "--json"],
        cwd=ROOT, capture_output=True, text=True, timeout=280,
        env={name: value for name, value in os.environ.items() if "DORMICE" not in name},
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout, done.stderr)
    found = json.loads(done.stdout)
    values = {one["what"]: one["value"] for one in found["readings"]}
    assert (found["hosts"], found["kept"], found["reasons"]) == (12, True, {})
    assert values["connecting: until all were welcomed"] > 0
    assert values["returning: hello to welcome, p99"] > 0
    assert values["reports acknowledged a second"] > 0
    assert values["backups that did not succeed"] == 0
    assert values["alerts raised"] == 0


def test_another_server_needs_both_addresses() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "bench", "fleet", "--url", "http://127.0.0.1:1"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--gateway" in done.stderr
