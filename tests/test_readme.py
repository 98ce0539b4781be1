"""README is a promise: its examples print what it shows, its commands exist, and its table names every claim."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

from flowsim import cli
from flowsim.claims import STATEMENTS, registry

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_examples_print_what_readme_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = "".join(re.findall(r"```python\n(.*?)```", README, flags=re.S))
    parsed = doctest.DocTestParser().get_doctest(examples, {}, "README.md", "README.md", 0)
    assert len(parsed.examples) >= 10
    said: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(parsed, out=said.append)
    assert results.failed == 0, "".join(said)


def _commands() -> list[str]:
    blocks = "".join(re.findall(r"```sh\n(.*?)```", README, flags=re.S))
    return [line.split("#")[0].strip() for line in blocks.splitlines() if line.startswith("flowsim ")]


@pytest.mark.parametrize("command", [c for c in _commands() if not c.startswith("flowsim check")])
def test_each_command_of_readme_runs(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for saved in re.findall(r"plot (\w+\.nc)", command):
        assert cli.main(["flow", "--time-last", "1e3", "-o", saved]) == 0
    # the whole of figure 2 takes minutes
    short = ["--steps", "20", "--seeds", "1"] if command.startswith("flowsim relu") else []
    assert cli.main([*shlex.split(command)[1:], *short]) == 0
    assert capsys.readouterr().out


def test_the_table_has_every_numbered_statement_of_the_paper() -> None:
    table = README.split("## What is checked")[1].split("## Rates")[0]
    first = [cell.strip() for row in re.findall(r"^\| ([^|]*) \|", table, flags=re.M) for cell in row.split(",")]
    assert set(STATEMENTS) <= set(first)


def test_the_number_of_claims_is_the_one_readme_tells() -> None:
    assert len(registry()) == 128
    assert "One hundred and twenty-eight claims" in README


def test_readme_holds_one_command_for_the_main_job_and_one_for_the_tests() -> None:
    assert len(re.findall(r"^pip install \. && flowsim check$", README, flags=re.M)) == 1
    assert len(re.findall(r"^pip install .*python -m pytest.*$", README, flags=re.M)) == 1
    for name in re.findall(r"\]\((docs/\w+\.png)\)", README):
        assert (ROOT / name).stat().st_size > 10_000
