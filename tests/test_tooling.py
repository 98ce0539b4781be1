"""Format, lint and types are part of the tests."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_the_code_is_formatted() -> None:
    done = _run("ruff", "format", "--check", ".")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_code_has_no_lint() -> None:
    done = _run("ruff", "check", ".")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_types_hold_over_the_whole_package() -> None:
    done = _run("pyright", "--pythonpath", sys.executable)
    if "error:" not in done.stdout and "errors" not in done.stdout:
        pytest.skip(f"pyright could not start (it fetches itself on first use): {(done.stderr or done.stdout).strip()[-200:]}")
    assert done.returncode == 0, done.stdout
