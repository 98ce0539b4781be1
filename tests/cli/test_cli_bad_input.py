"""Bad input is one line on stderr that says what is wrong and what it may be, exit code 2, before anything runs."""

import re

import h5netcdf
import numpy as np
import pytest

import flowsim as fs

CASES = {
    "flow --law gausian": r"`law` must be one of gaussian, .*, but is 'gausian'; did you mean 'gaussian'\?",
    "flow --solver kvaerno": r"`solver` must be one of dopri8, .*, but is 'kvaerno'; did you mean 'kvaerno\d'\?",
    "compare --solver radua": r"`solver` must be one of .*; did you mean 'radau'\?",
    "flow --norm -1": "`norm` must be positive and finite, but is -1",
    "flow --angle 4": r"`angle` must be in \[0, 3.14159\], but is 4",
    "flow --depth 0": "`depth` must be a whole number from 1 to 100, but is 0",
    "descend --depth 101": "`depth` must be a whole number from 1 to 100, but is 101",
    "flow --depth 1.5": "--depth: must be a whole number, but is '1.5'",
    "descend --steps many": "--steps: must be a whole number, but is 'many'",
    "flow --times 1 3 2": "`times` must increase strictly, but 3 is followed by 2",
    "flow --times 1 --count 5": "--time-first, --time-last and --count must be left out where --times",
    "flow --time-first 2 --time-last 1": "`last` must be above 2 and finite, but is 1",
    "flow --rtol 1": "`rtol` must be in",
    "flow --dim 1": "`dim` must be a whole number, 2 or more, but is 1",
    "flow --label-noise 0.5": r"`label_noise` must be in \[0, 0.5\), but is 0.5",
    "flow --law student-t --df 1": "`df` of StudentT must be above 1",
    "descend --step-size 0": "`step_size` must be positive and finite, but is 0",
    "descend --step-size 0.1 -2": "`step_size` must be positive and finite, but is -2",
    "descend --step-size nan": "`step_size` must be positive and finite, but is nan",
    "descend --method fast": "`method` must be one of auto, exact, but is 'fast'",
    "descend --max-exact-steps -1": "`max_exact_steps` must be",
    "descend --method exact --max-exact-steps 5": "`max_exact_steps` belongs to the method 'auto'",
    "descend --steps 5 5": "`steps` must increase strictly",
    "flow --law sphere --scale 2": "--scale does not belong to the law 'sphere', whose options are --dim, --radius$",
    "flow --df 3": "--df does not belong to the law 'gaussian', whose options are --dim, --scale$",
    "flow --law radial --radial-law gamma --scale 2": "--scale does not belong to the law 'radial', .* --dim, --radial-law, --radial-args$",
    "flow --radial-law gamma": "--radial-law does not belong to the law 'gaussian'",
    "flow --law radial": "'radial' needs --radial-law",
    "flow --law radial --radial-law gama": r"--radial-law must be a continuous law .* but is 'gama'; did you mean 'gamma'\?",
    "flow --law radial --radial-law gamma": "--radial-args of gamma must be numbers for a, .* but got 0 numbers",
    "flow --law radial --radial-law norm": r"`radius` must be a positive law, but its support is \[-inf, inf\]",
    "flow --w 1 0": "--w and --v must be given together",
    "flow --w 1 0 --v 0 1 --norm 2": "--norm and --angle must be left out",
    "flow --w 1 0 0 --v 0 1 0": "--v must have 2 components, as many as x, but has 3",
    "flow --w 1 --v 0 1": r"`w` must have shape \(\.\.\., 2\)",
    "flow --output gone/run.nc": "cannot write 'gone/run.nc': No such file or directory",
    "descend --output .": "cannot write '.': it is a folder",
    "compare --output gone/run.nc": "cannot write 'gone/run-flow.nc': No such file",
    "flow --plot gone/a.pdf": "cannot write 'gone/a.pdf': No such file",
    "flow --plot a.gif": r"must end in \.pdf, \.png or \.svg, but is 'a\.gif'",
    "plot gone.nc --output a.pdf": "no such file: 'gone.nc'",
    "plot gone.nc": "--output",
    "plot gone.nc --output a.pdf --figure rate": 'Invalid value "rate" for --figure',
    "flow --stepsize 3": "Unknown option: --stepsize",
    "flow --depth": "--depth requires at least 1",
    "flwo": r'Unknown command "flwo". Did you mean "flow"\?',
    "check --only growthbound": r"no claim is named 'growthbound'; did you mean 'growth-bound'\?",
    "check --list --output a": "--output must be left out with --list",
}


@pytest.fixture
def nothing_runs(monkeypatch):
    """Whatever starts a solver fails the test, unless it refuses its arguments first."""

    def ran(*_, **__):
        raise AssertionError("a run was started")

    monkeypatch.setattr("flowsim.dynamics.flow._run", ran)
    monkeypatch.setattr("flowsim.dynamics.exact._run", ran)
    monkeypatch.setattr("flowsim.dynamics.horizon.follow", ran)


@pytest.mark.parametrize("line", CASES)
def test_bad_input_is_one_line_and_exit_code_2(command, nothing_runs, tmp_path, line):
    outcome = command(*line.split())
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("flowsim: error: ")
    assert outcome.err.count("\n") == 1
    assert re.search(CASES[line], outcome.err.strip()), outcome.err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def saved(tmp_path):
    run = fs.gradient_descent(fs.PopulationRisk(fs.Gaussian(2)), fs.Start(), 0.1, [0, 1, 2])
    return run.save(tmp_path / "run.nc")


def test_a_file_that_is_not_ours_is_refused(command, saved, tmp_path):
    (tmp_path / "words.nc").write_text("not a run")
    outcome = command("plot", "words.nc", "-o", "a.pdf")
    assert outcome.code == 2
    assert "'words.nc' is not a flowsim run or regime map, or is cut short" in outcome.err
    with h5netcdf.File(tmp_path / "other.nc", "w") as other:
        other.dimensions = {"x": 3}
        other.create_variable("x", ("x",), data=np.arange(3))
    outcome = command("plot", "other.nc", "-o", "a.pdf")
    assert outcome.code == 2
    assert "'other.nc' is a netCDF file but not a flowsim run or regime map" in outcome.err


def test_a_file_cut_short_is_refused(command, saved, tmp_path):
    whole = saved.read_bytes()
    (tmp_path / "half.nc").write_bytes(whole[: len(whole) // 2])
    outcome = command("plot", "half.nc", "-o", "a.pdf")
    assert outcome.code == 2
    assert "'half.nc' is not a flowsim run or regime map, or is cut short" in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_comparison_needs_a_flow_and_a_descent(command, saved):
    outcome = command("plot", "run.nc", "run.nc", "-o", "a.pdf", "--figure", "comparison")
    assert outcome.code == 2
    assert "needs two runs, a flow and a descent, but got descent, descent" in outcome.err
