"""map: what it prints, what it writes, how it ends, and what it refuses."""

import dataclasses
import re

import numpy as np
import pytest

import flowsim as fs
from flowsim import sweeps
from flowsim.sweeps import RegimeMap, load_map

SMALL = ("--cells", 4, "--steps", 200)


def test_map_saves_prints_and_draws_what_the_library_computes(command, tmp_path):
    words = ("--depth", 2, "--axis", "angle", "--step-size-first", 0.1, "--step-size-last", 50, "--norm", 2)
    outcome = command("map", *words, *SMALL, "-o", "map.nc", "--plot", "map.png")
    assert (outcome.code, outcome.err) == (0, "")
    expected = fs.regime_map(
        fs.PopulationRisk(fs.Gaussian(2)),
        np.geomspace(0.1, 50.0, 4),
        angles=np.pi * (np.arange(4) + 0.5) / 4,
        steps=200,
        depth=2,
        start=fs.Start(2.0, 1.5),
    )
    chart = load_map("map.nc")
    np.testing.assert_array_equal(chart.code, expected.code)
    np.testing.assert_array_equal(chart.values, expected.values)
    assert outcome.out.splitlines() == str(expected).splitlines()
    again = command("plot", "map.nc", "--output", "again.png")
    assert (again.code, again.err) == (0, "")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "map.png").read_bytes()
    assert "regime maps are drawn without runs" in command("plot", "map.nc", "--figure", "rates", "--output", "no.png").err
    assert (tmp_path / "map.png").stat().st_size > 10_000


def test_the_other_axes_have_their_own_ranges(command):
    assert command("map", "--axis", "norm", *SMALL, "-o", "map.nc").code == 0
    np.testing.assert_allclose(load_map("map.nc").values, np.geomspace(0.01, 100.0, 4))
    assert command("map", "--axis", "depth", "--axis-last", 3, *SMALL, "-o", "map.nc").code == 0
    np.testing.assert_array_equal(load_map("map.nc").values, [1, 2, 3])
    assert command("map", "--axis", "angle", "--axis-first", 0, "--axis-last", 1, *SMALL, "-o", "map.nc").code == 0
    np.testing.assert_allclose(load_map("map.nc").values, np.linspace(0.0, 1.0, 4))


def test_an_interrupted_map_is_saved_and_drawn_and_says_so(command, monkeypatch, tmp_path):
    inner = sweeps.regime_map

    def interrupted(*args, **options):
        chart = inner(*args, **options)
        code = chart.code.copy()
        code[2:] = list(sweeps.CLASSES).index("stopped")
        return dataclasses.replace(chart, code=code)

    monkeypatch.setattr(sweeps, "regime_map", interrupted)
    outcome = command("map", *SMALL, "-o", "map.nc", "--plot", "map.png")
    assert outcome.code == 130
    assert outcome.err.startswith("flowsim: error: interrupted; the cells that were decided are saved")
    assert "not reached 50 %" in outcome.out
    assert not load_map("map.nc").complete
    assert (tmp_path / "map.png").stat().st_size > 10_000


def test_a_full_disk_loses_neither_the_shares_nor_the_picture(command, monkeypatch, tmp_path):
    def full(self, path):
        raise OSError(f"cannot write {str(path)!r}: No space left on device")

    monkeypatch.setattr(RegimeMap, "save", full)
    outcome = command("map", *SMALL, "-o", "map.nc", "--plot", "map.png")
    assert (outcome.code, outcome.err) == (1, "flowsim: error: cannot write 'map.nc': No space left on device\n")
    assert "regime map: 4 step sizes x 4 angles" in outcome.out
    assert (tmp_path / "map.png").stat().st_size > 10_000


REFUSED = {
    "--axis size": 'Invalid value "size" for --axis',
    "--axis angle --angle 1": "--angle must be left out where it is the --axis",
    "--axis norm --norm 1": "--norm must be left out where it is the --axis",
    "--axis depth --depth 2": "--depth must be left out where it is the --axis",
    "--w 1 0 --v 0 1": "--w and --v must be left out where the angle is the --axis",
    "--cells 1": "`cells` must be a whole number, 2 or more, but is 1",
    "--steps 5": "`steps` must be a whole number, 100 or more, but is 5",
    "--steps 500 600": "--steps must be one number, but is 500 600",
    "--step-size-first 0": "`step_size_first` must be positive and finite, but is 0",
    "--step-size-first 5 --step-size-last 4": "`step_size_last` must be above 5 and finite, but is 4",
    "--axis-last 4": "`axis_last` must be above 0.0122718 and finite, but is 4|`angles` must be in",
    "--axis depth --axis-first 1.5": "`axis_first` must be a whole number, 1 or more, but is 1.5",
    "--axis depth --axis-last 200": "`depths` must be a whole number from 1 to 100, but is 101",
    "--label-noise 0.1": "`risk` must be free of label noise",
    "--output gone/map.nc": "cannot write 'gone/map.nc': No such file",
    "--plot map.gif": r"must end in \.pdf, \.png or \.svg, but is 'map\.gif'",
}


@pytest.mark.parametrize("line", REFUSED)
def test_bad_input_is_one_line_and_exit_code_2(command, monkeypatch, tmp_path, line):
    def ran(*_, **__):
        raise AssertionError("a run was started")

    monkeypatch.setattr("flowsim.sweeps.regimes.gradient_descent", ran)
    outcome = command("map", *line.split())
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert re.search(REFUSED[line], outcome.err), outcome.err
    assert not list(tmp_path.iterdir())
