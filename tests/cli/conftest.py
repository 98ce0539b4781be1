"""The command line, run in this process."""

import re
from typing import NamedTuple

import pytest

from flowsim.cli import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys, tmp_path, monkeypatch):
    """command("flow", "--depth", 3): exit code, stdout and stderr, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def plot_refuses(command, tmp_path):
    """plot_refuses(words, pattern): `plot` says so in one line, and draws no figure."""

    def refuses(words, pattern):
        outcome = command("plot", *words, "-o", "a.pdf")
        assert outcome.code == 2
        assert outcome.err.count("\n") == 1
        assert re.search(pattern, outcome.err), outcome.err
        assert not (tmp_path / "a.pdf").exists()

    return refuses
