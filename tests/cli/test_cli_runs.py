"""flow, descend, compare, plot, info: what they print, what they write, how they end."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

import flowsim as fs

# SciPy's solvers have nothing to compile, which is what takes the time in short runs
QUICK = ("--solver", "dop853", "--count", 30, "--time-last", 1e4)


def the_same(run, other):
    np.testing.assert_array_equal(run.time, other.time)
    np.testing.assert_array_equal(run.log_norm, other.log_norm)
    np.testing.assert_array_equal(run.log_tan_half_angle, other.log_tan_half_angle)
    np.testing.assert_array_equal(run.status, other.status)


def test_flow_saves_what_the_library_computes_and_prints_it(command):
    outcome = command(
        "flow", "--law", "laplace", "--dim", 3, "--scale", 0.5, "--depth", 3, "--norm", 2, "--angle", 2, *QUICK, "-o", "run.nc"
    )
    assert outcome.code == 0
    assert outcome.err == ""
    run = fs.load("run.nc")
    expected = fs.gradient_flow(
        fs.PopulationRisk(fs.Laplace(3, 0.5)), fs.Start(2.0, 2.0), fs.log_times(1e-2, 1e4, 30), depth=3, solver="dop853"
    )
    the_same(run, expected)
    printed = outcome.out.splitlines()
    assert printed[:6] == str(expected).splitlines()
    assert printed[7].split() == ["t", "norm", "log_tan_half_angle", "risk"]
    assert len(printed) == 8 + 8
    last = [float(cell) for cell in printed[-1].split()]
    np.testing.assert_allclose(last, [1e4, expected.norm[-1], expected.log_tan_half_angle[-1], expected.risk[-1]], rtol=1e-5)


def test_vectors_and_listed_times_say_where_and_when(command):
    assert (
        command("flow", "--law", "sphere", "--w", 0.6, -0.8, "--v", 0, 1, "--times", 0, 1, 2.5, "--solver", "radau", "-o", "a.nc").code == 0
    )
    run = fs.load("a.nc")
    np.testing.assert_array_equal(run.time, [0.0, 1.0, 2.5])
    assert run.angle[0] == pytest.approx(np.arccos(-0.8), rel=1e-14)


def test_several_depths_are_a_batch_with_a_line_for_each(command):
    outcome = command("flow", "--depth", 1, 2, 5, *QUICK, "-o", "a.nc")
    assert outcome.code == 0
    run = fs.load("a.nc")
    assert run.shape == (3,)
    rows = [line.split() for line in outcome.out.splitlines()[-4:]]
    assert rows[0] == ["depth", "t", "norm", "log_tan_half_angle", "risk", "status"]
    assert [(row[0], row[-1]) for row in rows[1:]] == [("1", "ok"), ("2", "ok"), ("5", "ok")]


def test_a_verified_flow_reports_the_gap(command):
    outcome = command("flow", "--times", 1, 2, "--solver", "dop853", "--verify")
    assert outcome.code == 0
    assert "verified by diffrax.Dopri8: largest gap" in outcome.out


def test_a_radial_law_is_named_with_its_numbers(command):
    assert command("flow", "--law", "radial", "--radial-law", "gamma", "--radial-args", 3, *QUICK, "-o", "a.nc").code == 0
    assert fs.load("a.nc").risks.item().label() == "Radial(dim=2, gamma(3))"


def test_descend_takes_every_depth_with_every_step_size(command):
    outcome = command("descend", "--depth", 1, 3, "--step-size", 0.1, 0.2, 0.4, "--steps", "1e3", "-o", "a.nc")
    assert outcome.code == 0
    run = fs.load("a.nc")
    assert run.shape == (2, 3)
    assert run.step[-1] == 1000
    alone = fs.gradient_descent(fs.PopulationRisk(fs.Gaussian(2)), fs.Start(), 0.4, 1000, depth=3)
    np.testing.assert_allclose(run[1, 2].log_norm, alone.log_norm, rtol=1e-12)
    assert [line.split()[:2] for line in outcome.out.splitlines()[-2:]] == [["3", "0.2"], ["3", "0.4"]]


def test_descend_goes_far_and_says_how(command):
    outcome = command("descend", "--depth", 2, "--step-size", 0.5, "--steps", "1e15", "-o", "a.nc")
    assert outcome.code == 0
    run = fs.load("a.nc")
    assert run.step[-1] == 10**15
    assert run.coverage.exact_steps + run.coverage.covered_steps == 10**15
    assert f"steps   {int(run.coverage.exact_steps)} taken one by one" in outcome.out
    assert "estimated error" in outcome.out
    every = command("descend", "--steps", 300, "--method", "exact", "-o", "b.nc")
    assert every.code == 0
    assert "covered" not in every.out
    assert fs.load("b.nc").coverage.exact_steps == 300


def test_descend_gives_up_by_name_and_keeps_what_it_reached(command):
    words = ("--depth", 2, "--step-size", 8, "--angle", 0.1, "--steps", "1e6", "--max-exact-steps", 1000)
    outcome = command("descend", *words, "-o", "a.nc")
    assert outcome.code == 1
    assert "max_exact_steps" in outcome.out + outcome.err
    run = fs.load("a.nc")
    assert run.status == "step_cap"
    assert np.isfinite(run.log_norm[run.step <= 1000]).all()
    assert np.isnan(run.log_norm[-1])


def test_descend_records_the_steps_listed(command):
    assert command("descend", "--steps", 0, 5, 10, "-o", "a.nc").code == 0
    np.testing.assert_array_equal(fs.load("a.nc").step, [0, 5, 10])


def test_a_descent_that_overflows_is_saved_drawn_and_ends_in_failure(command, tmp_path):
    outcome = command("descend", "--depth", 3, "--angle", 3, "--step-size", 100, "--steps", 1000, "-o", "a.nc", "--plot", "a.png")
    assert outcome.code == 1
    assert outcome.err == ("flowsim: error: the descent failed: the iterates left the double range; a smaller step size avoids it\n")
    assert fs.load("a.nc").status == "overflow"
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_a_compared_pair_is_saved_and_redrawn_from_its_files(command, tmp_path):
    outcome = command("compare", "--depth", 2, "--steps", 2000, "--solver", "dop853", "-o", "a.nc", "--plot", "a.png")
    assert outcome.code == 0
    flow, descent = fs.load("a-flow.nc"), fs.load("a-descent.nc")
    assert str(fs.compare(flow, descent)) in outcome.out
    assert str(flow) in outcome.out
    assert str(descent) in outcome.out
    modified, again = fs.load("a-modified.nc"), fs.modified_flow(flow.problem, flow.start, descent.time, 0.1, 2)
    the_same(modified, again)
    np.testing.assert_array_equal(modified.log_layer, again.log_layer)
    assert [line.split()[0] for line in outcome.out.splitlines()[-3:]] == ["corrected:", "predicted:", "sharpness:"]
    assert command("plot", "a-flow.nc", "a-descent.nc", "-o", "b.png").code == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_plot_redraws_a_saved_run_to_the_same_file(command, tmp_path):
    assert command("flow", "--depth", 1, 3, *QUICK, "-o", "a.nc", "--plot", "a.pdf").code == 0
    assert command("plot", "a.nc", "--output", "b.pdf").code == 0
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert command("plot", "a.nc", "--output", "c.pdf", "--figure", "rates").code == 0
    assert (tmp_path / "c.pdf").stat().st_size > 1000


def test_info_names_versions_precision_and_devices(command):
    outcome = command("info")
    assert outcome.code == 0
    for word in ("flowsim", "python", "jax ", "diffrax", "scipy", "numpy", "float64", "cpu"):
        assert word in outcome.out


@pytest.mark.parametrize("name", ["flow", "descend"])
def test_an_interrupted_run_is_saved_as_far_as_it_got(command, monkeypatch, name):
    import flowsim.dynamics

    function = {"flow": "gradient_flow", "descend": "gradient_descent"}[name]
    inner = getattr(flowsim.dynamics, function)

    def stopped(*args, **kwargs):
        run = inner(*args, **kwargs)
        late = np.arange(run.time.size) > 2
        gone = {"log_norm": np.where(late, np.nan, run.log_norm), "log_tan_half_angle": np.where(late, np.nan, run.log_tan_half_angle)}
        return dataclasses.replace(run, status=np.asarray("stopped"), **gone)

    monkeypatch.setattr(flowsim.dynamics, function, stopped)
    options = QUICK if name == "flow" else ("--steps", 100)
    outcome = command(name, *options, "-o", "a.nc", "--plot", "a.png")
    assert outcome.code == 130
    assert "interrupted" in outcome.err
    run = fs.load("a.nc")
    assert run.status == "stopped"
    assert np.isfinite(run.log_norm[:3]).all()


def test_ctrl_c_elsewhere_is_no_traceback(command, monkeypatch):
    import flowsim.dynamics

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(flowsim.dynamics, "gradient_descent", interrupted)
    outcome = command("descend")
    assert (outcome.code, outcome.err) == (130, "flowsim: error: interrupted\n")


def test_a_full_disk_loses_neither_the_printed_run_nor_the_plot(command, monkeypatch, tmp_path):
    def full(self, path):
        raise OSError(f"cannot write {str(path)!r}: No space left on device")

    monkeypatch.setattr(fs.Trajectory, "save", full)
    outcome = command("descend", "--steps", 100, "-o", "a.nc", "--plot", "a.png")
    assert outcome.code == 1
    assert outcome.err == "flowsim: error: cannot write 'a.nc': No space left on device\n"
    assert "descent of depth 1" in outcome.out
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from flowsim.cli import main\n"
        "codes = [main(words) for words in (['--help'], ['flow', '--help'], ['check', '--help'], ['--version'])]\n"
        "heavy = {'jax', 'matplotlib', 'scipy', 'scipy.stats', 'xarray', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'{codes} {heavy}' if heavy or any(codes) else 0)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for word in ("check", "flow", "descend", "compare", "plot", "info"):
        assert word in done.stdout
    assert fs.__version__ in done.stdout


def test_the_program_itself_exits_with_the_code(tmp_path):
    program = [sys.executable, "-W", "error", "-m", "flowsim.cli"]
    done = subprocess.run([*program, "flow", "--law", "gausian"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_reader_that_leaves_early_is_no_error():
    program = f"{sys.executable} -m flowsim.cli descend --steps 100 | true"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
