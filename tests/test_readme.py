"""README is a promise: its examples print what it shows, its commands exist, and its table names every claim."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

from flowsim import cli
from flowsim.claims import STATEMENTS, registry
from flowsim.sweeps import KINDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BENIGN = (ROOT / "docs" / "benign.toml").read_text(encoding="utf-8")
SWEEP = (ROOT / "docs" / "regimes.toml").read_text(encoding="utf-8")


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
    few = SWEEP.replace("count = 64", "count = 4").replace("count = 48", "count = 3").replace("steps = 100000", "steps = 100")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "regimes.toml").write_text(few, encoding="utf-8")
    fewer = BENIGN.replace("count = 32", "count = 3").replace("dim = 1000", "dim = 100").replace("[0, 1, 2, 3, 4, 5, 6, 7]", "[0]")
    (tmp_path / "docs" / "benign.toml").write_text(fewer, encoding="utf-8")
    command = command.replace(" --workers 2", "").replace("--cells 64", "--cells 12")
    for saved in re.findall(r"plot (\w+\.zarr)", command):
        assert cli.main(["sweep", "docs/regimes.toml", "-o", saved]) == 0
    for saved in re.findall(r"plot (\w+\.nc)", command):
        assert cli.main(["flow", "--time-last", "1e3", "-o", saved]) == 0
    # the whole of figure 2 takes minutes
    short = ["--steps", "20", "--seeds", "1"] if command.startswith("flowsim relu") else []
    short += ["--margins", "0.4", "0.2", "--seeds", "1"] if "--crossover" in command else []
    assert cli.main([*shlex.split(command)[1:], *short]) == 0
    assert capsys.readouterr().out


def test_the_sweep_that_readme_and_the_guide_show_is_the_file() -> None:
    for page in (README, (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")):
        assert f"```toml\n{SWEEP}```" in page


def test_the_guide_to_sweeps_names_every_argument_and_quantity() -> None:
    guide = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
    for kind in KINDS.values():
        numbers = [name for name in kind.numbers if not name.endswith("_error")]
        for name in (kind.name, *(argument.name for argument in kind.arguments), *kind.lists, *kind.series, *numbers):
            assert f"`{name}`" in guide, (kind.name, name)


def test_the_table_has_every_numbered_statement_of_the_paper() -> None:
    table = README.split("## What is checked")[1].split("## Rates")[0]
    first = [cell.strip() for row in re.findall(r"^\| ([^|]*) \|", table, flags=re.M) for cell in row.split(",")]
    assert set(STATEMENTS) <= set(first)


def test_the_number_of_claims_is_the_one_readme_tells() -> None:
    assert len(registry()) == 143
    assert "One hundred and forty-three claims" in README


def test_readme_holds_one_command_for_the_main_job_and_one_for_the_tests() -> None:
    assert len(re.findall(r"^pip install \. && flowsim check$", README, flags=re.M)) == 1
    assert len(re.findall(r"^pip install .*python -m pytest.*$", README, flags=re.M)) == 1
    for name in re.findall(r"\]\((docs/\w+\.png)\)", README):
        assert (ROOT / name).stat().st_size > 10_000
