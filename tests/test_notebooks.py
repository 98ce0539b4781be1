"""The notebooks run in a fresh kernel, assert what they show, and are committed with the outputs that they have."""

import ast
import base64
import json
import re
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import flowsim as fs

FOLDER = Path(__file__).parent.parent / "notebooks"
NAMES = ("flow_versus_step_size", "rate_plots", "theorem_predictions")
ROOMS = ("claims", "dynamics", "present", "problem", "sweeps", "theory")
COMMON = {"matplotlib", "numpy", "scipy", *sys.stdlib_module_names}
PLACES = re.compile(r"/(?:home|Users|root|tmp|work|usr|opt|var)/|[A-Z]:\\")


def _notebook(folder: Path, name: str) -> dict[str, Any]:
    return json.loads(folder.joinpath(f"{name}.ipynb").read_text(encoding="utf-8"))


def _cells(notebook: dict[str, Any], kind: str = "code") -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def _source(cell: dict[str, Any]) -> str:
    """A cell as Python: without IPython's own commands."""
    return re.sub(r"^%.*$", "", "".join(cell["source"]), flags=re.M)


def _trees(name: str) -> list[ast.Module]:
    return [ast.parse(_source(cell)) for cell in _cells(_notebook(FOLDER, name))]


def _text(output: dict[str, Any]) -> str:
    """What an output says; the size that stands for a figure says nothing."""
    data = output.get("data", {})
    return "".join(output.get("text", "" if "image/png" in data else data.get("text/plain", "")))


# numbers in what is printed


NUMBER = re.compile(r"(?<![\w.])([-+]?\d+(?:\.\d+)?)(?:\((\d+)\))?(e[-+]?\d+)?(?![\w.]*\d)")


def differences(said: str, expected: str) -> list[str]:
    """Numbers of ``said`` that are further from those of ``expected`` than the last digit printed tells, or than the error in brackets
    behind it, as in 0.66667(3); the whole of both where what stands between the numbers differs. Whole numbers must be equal."""
    if NUMBER.sub("#", said) != NUMBER.sub("#", expected):
        return [f"{said!r} for {expected!r}"]
    found = []
    for one, other in zip(NUMBER.finditer(said), NUMBER.finditer(expected), strict=True):
        decimals, error = len(other[1].partition(".")[2]), int(other[2] or 0)
        exact = not decimals and not error and not other[3]
        power = int((one[3] or "e0")[1:]) - int((other[3] or "e0")[1:])
        off = abs(float(one[1]) * 10.0**power - float(other[1])) * 10.0**decimals
        if off > (0.0 if exact else max(1, error) + 0.5):
            found.append(f"{one[0]} for {other[0]}")
    return found


@pytest.mark.parametrize(
    ("said", "expected", "agree"),
    [
        ("s = -4783.135", "s = -4783.136", True),
        ("s = -4783.13", "s = -4783.16", False),
        ("s = -4783.13", "r = -4783.13", False),
        ("239 of 240", "240 of 240", False),
        ("1.2e-07", "1.3e-07", True),
        ("9.9e-08", "1.0e-07", True),
        ("1.3e-06", "1.3e-07", False),
        ("t^0.66670(3)", "t^0.66667(3)", True),
        ("t^0.66675(3)", "t^0.66667(3)", False),
        ("t^1.2, two", "t^1.2, one", False),
    ],
)
def test_numbers_may_differ_in_the_last_digit_and_nothing_else_may(said: str, expected: str, agree: bool) -> None:
    assert (differences(said, expected) == []) is agree


# what is committed


def test_there_are_three() -> None:
    assert tuple(sorted(path.stem for path in FOLDER.glob("*.ipynb"))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_is_text_with_code_between(name: str) -> None:
    kinds = [cell["cell_type"] for cell in _notebook(FOLDER, name)["cells"]]
    assert kinds[0] == "markdown"
    assert ("code", "code") not in pairwise(kinds)
    assert "".join(_notebook(FOLDER, name)["cells"][0]["source"]).startswith("# ")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_clean(name: str) -> None:
    notebook = _notebook(FOLDER, name)
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    assert all(output.get("metadata", {}) == {} for cell in _cells(notebook) for output in cell["outputs"])
    assert [cell["execution_count"] for cell in _cells(notebook)] == list(range(1, len(_cells(notebook)) + 1))


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_that_shows_something_is_committed_with_it(name: str) -> None:
    """Figures are drawn by `plt.show()`, or stand in a cell's last line; every line printed is there."""
    figures = 0
    for cell, tree in zip(_cells(_notebook(FOLDER, name)), _trees(name), strict=True):
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        last = ast.unparse(tree.body[-1])
        draws = "plt.show" in calls or last.startswith("fs.present.") or last == "figure"
        images = [output["data"]["image/png"] for output in cell["outputs"] if "image/png" in output.get("data", {})]
        assert bool(images) == draws, _source(cell)
        assert ("print" in calls) <= any(output["output_type"] == "stream" for output in cell["outputs"]), _source(cell)
        for image in images:
            data = base64.b64decode(image)
            assert data.startswith(b"\x89PNG")
            assert 5_000 < len(data) < 130_000
        figures += len(images)
    assert figures >= 3


@pytest.mark.parametrize("name", NAMES)
def test_no_output_is_an_error_or_a_warning(name: str) -> None:
    for cell in _cells(_notebook(FOLDER, name)):
        for output in cell["outputs"]:
            assert output["output_type"] in ("stream", "display_data", "execute_result"), output
            assert output.get("name", "stdout") == "stdout", output


@pytest.mark.parametrize("name", NAMES)
def test_it_asserts_what_it_shows(name: str) -> None:
    """In every cell that prints, and of something that was computed."""
    asserts = 0
    for tree in _trees(name):
        found = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert found or "print" not in calls, ast.unparse(tree)
        assert all(any(isinstance(part, ast.Name) for part in ast.walk(node.test)) for node in found)
        asserts += len(found)
    assert asserts >= 15


@pytest.mark.parametrize("name", NAMES)
def test_it_uses_public_names_only(name: str) -> None:
    for tree in _trees(name):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    package = alias.name.partition(".")[0]
                    assert package in COMMON or (alias.name, alias.asname) == ("flowsim", "fs"), ast.unparse(node)
            elif isinstance(node, ast.ImportFrom):
                package, _, room = (node.module or "").partition(".")
                public = ["main"] if room == "cli" else import_module(node.module).__all__ if room in ROOMS else []
                assert package in COMMON or {alias.name for alias in node.names} <= set(public), ast.unparse(node)
            elif isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_"), ast.unparse(node)
                owner = ast.unparse(node.value)
                known = {"fs": fs, "fs.theory": fs.theory, "fs.present": fs.present, "fs.theory.thresholds": fs.theory.thresholds}
                assert owner not in known or node.attr in getattr(known[owner], "__all__", vars(known[owner])), ast.unparse(node)


@pytest.mark.parametrize("name", NAMES)
def test_no_place_on_a_machine_is_in_it(name: str) -> None:
    for cell in _notebook(FOLDER, name)["cells"]:
        for text in ("".join(cell["source"]), *map(_text, cell.get("outputs", []))):
            assert not PLACES.search(text), text


# what they do


@pytest.fixture(autouse=True, scope="module")
def _jupyter() -> None:
    for package in ("ipykernel", "nbclient", "nbformat"):
        if find_spec(package) is None:
            pytest.skip(f"running a notebook needs {package}, of the extra `notebooks`")


def _execute(*words: str, script: Path = FOLDER / "execute.py") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_and_shows_what_is_committed(name: str, tmp_path: Path) -> None:
    done = _execute(name, "--into", str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    fresh, committed = (_cells(_notebook(folder, name)) for folder in (tmp_path, FOLDER))
    for one, other in zip(fresh, committed, strict=True):
        assert one["source"] == other["source"]
        shown, expected = (
            [(output["output_type"], sorted(output.get("data", [])), _text(output)) for output in cell["outputs"]] for cell in (one, other)
        )
        assert [output[:2] for output in shown] == [output[:2] for output in expected], "".join(one["source"])
        for (*_, said), (*_, should) in zip(shown, expected, strict=True):
            assert differences(said, should) == [], f"{said}\nis not\n{should}"


def test_a_cell_that_fails_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    script = Path(shutil.copy(FOLDER / "execute.py", tmp_path))
    wrong = {"cell_type": "code", "execution_count": None, "id": "01", "metadata": {}, "outputs": [], "source": "assert 1 + 1 == 3"}
    notebook = {"cells": [wrong], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    tmp_path.joinpath("wrong.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    before = tmp_path.joinpath("wrong.ipynb").read_bytes()
    done = _execute(script=script)
    assert done.returncode != 0
    assert "AssertionError" in done.stderr
    assert tmp_path.joinpath("wrong.ipynb").read_bytes() == before


def test_a_name_that_is_not_there_is_refused() -> None:
    done = _execute("no_such_notebook")
    assert done.returncode == 2
    assert "there is no notebook 'no_such_notebook'; there are flow_versus_step_size, rate_plots, theorem_predictions" in done.stderr
