"""layers: what it runs, from which start, files that an interrupted or killed run is taken up from, and its figure."""

import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import flowsim as fs
from flowsim.layers import STARTS, load_layers

# SciPy's solvers have nothing to compile
QUICK = ("--dim", 3, "--width", 2, "--solver", "dop853", "--rtol", 1e-8, "--time-last", 3, "--count", 4)


def the_same(run, other):
    assert run.kind == other.kind
    for name in ("time", "step", "log_norm", "log_tan_half_angle", "status", "v"):
        np.testing.assert_array_equal(getattr(run, name), getattr(other, name))
    for one, two in zip((*run.start.matrices, *run.last.matrices), (*other.start.matrices, *other.last.matrices), strict=True):
        np.testing.assert_array_equal(one, two)
    assert run.observed.keys() == other.observed.keys()
    for name in run.observed:
        np.testing.assert_array_equal(run.observed[name], other.observed[name])


def test_a_flow_is_the_librarys_over_the_seeds_from_the_first_on(command):
    law, words = ("--law", "laplace", "--scale", 0.5), ("--v", 0, 1, 1, "--seeds", 2, "--seed", 5, "--observe", "layer-norm", "sharpness")
    outcome = command("layers", *law, *QUICK, *words, "--start-scale", 0.7, "-o", "run.nc")
    assert (outcome.code, outcome.err) == (0, "")
    expected = fs.layer_flow(
        fs.PopulationRisk(fs.Laplace(3, 0.5)),
        fs.layers.gaussian(3, 2, 2, 0.7, [5, 6]),
        fs.log_times(1e-2, 3.0, 4),
        [0.0, 1.0, 1.0],
        "dop853",
        1e-8,
        ["layer_norm", "sharpness"],
    )
    the_same(load_layers("run.nc"), expected)
    printed = outcome.out.splitlines()
    assert printed[:6] == str(expected).splitlines()
    assert printed[7].split() == ["run", "t", "norm", "log_tan_half_angle", "risk", "status"]
    rows = [line.split() for line in printed[8:]]
    assert [(row[0], row[-1]) for row in rows] == [("0", "ok"), ("1", "ok")]
    np.testing.assert_allclose([float(row[2]) for row in rows], expected.norm[:, -1], rtol=1e-5)


def test_a_step_size_or_a_number_of_steps_makes_it_a_descent(command):
    risk, start = fs.PopulationRisk(fs.Gaussian(2)), fs.layers.gaussian(2, 3, 4, seeds=0)
    outcome = command("layers", "--depth", 3, "--steps", 0, 5, 20, "-o", "a.nc")
    assert outcome.code == 0
    the_same(load_layers("a.nc"), fs.layer_descent(risk, start, 0.1, [0, 5, 20]))
    assert [line.split()[0] for line in outcome.out.splitlines()[7:]] == ["k", "0", "5", "20"]


TURNED = np.array([np.cos(2.0), np.sin(2.0), 0.0])
BEGUN = {
    **{f"{name.replace('_', '-')} --seed 3": make(3, 2, 4, seeds=3) for name, make in STARTS.items()},
    "gaussian": fs.layers.gaussian(3, 2, 4, seeds=0),
    "pytorch_default": fs.layers.pytorch_default(3, 2, 4, seeds=0),
    "orthogonal --start-scale 0.1 --width 2": fs.layers.orthogonal(3, 2, 2, 0.1, 0),
    "he --depth 3 --width 3 2": fs.layers.he(3, 3, [3, 2], seeds=0),
    "identity --start-scale 0.1": fs.layers.identity(3, 2, 4, 0.1),
    "balanced-rank-one --norm 2 --seeds 1": fs.layers.balanced_rank_one(3, 2, 4, 2.0, [0]),
    "balanced --norm 2 --angle 2 --seed 1": fs.layers.balanced(2.0 * TURNED, 2, 4, 1),
    "balanced --w 1 2 3 --v 1 0 0": fs.layers.balanced([1.0, 2.0, 3.0], 2, 4, 0),
    "unit-vectors --angle 2": fs.layers.unit_vectors(TURNED, 2, 4, 0),
}


@pytest.fixture
def begun(command, monkeypatch):
    """begun("--start", ...): what a descent is that is not run."""
    found = []

    def follow(setup, *_):
        found.append(setup)
        raise KeyboardInterrupt

    # the module, whose name in its room is that of a function elsewhere
    monkeypatch.setattr(sys.modules["flowsim.layers.descent"], "follow", follow)

    def start(*words):
        assert command("layers", *words).code == 130
        return found[-1]

    return start


@pytest.mark.parametrize("words", BEGUN)
def test_each_start_is_the_librarys(begun, words):
    setup = begun("--dim", 3, "--start", *words.split(), "--step-size", 0.2)
    assert (setup.step[-1], setup.config["step_size"]) == (10_000, 0.2)
    assert setup.start.shape == BEGUN[words].shape
    np.testing.assert_array_equal(setup.v, [1.0, 0.0, 0.0])
    for ours, true in zip(setup.start.matrices, BEGUN[words].matrices, strict=True):
        np.testing.assert_array_equal(ours, true)


def test_a_start_opposite_to_the_teacher_is_on_the_ray(begun):
    start = begun("--start", "balanced", "--angle", np.pi, "--norm", 2, "--steps", 0).start
    np.testing.assert_array_equal(start.end_to_end[1], 0.0)
    assert start.end_to_end[0] == pytest.approx(-2.0, rel=1e-15)


def test_a_killed_run_is_taken_up_to_the_same_numbers(command, tmp_path):
    words = ["layers", "--depth", "3", "--step-size", "0.1", "--steps", "20000"]
    program = [sys.executable, "-m", "flowsim.cli", *words, "-o", "run.nc", "--checkpoint-every", "0"]
    with subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120.0
        while not (tmp_path / "run.nc").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    part = load_layers(tmp_path / "run.nc")
    assert part.state
    assert part.status == "stopped"
    assert np.isnan(part.log_norm[-1])
    assert command(*words, "--width", 5, "-o", "run.nc", "--resume").code == 2
    outcome = command(*words, "-o", "run.nc", "--resume")
    assert (outcome.code, outcome.err) == (0, "")
    unbroken = fs.layer_descent(fs.PopulationRisk(fs.Gaussian(2)), fs.layers.gaussian(2, 3, 4, seeds=0), 0.1, 20_000)
    the_same(load_layers("run.nc"), unbroken)


def test_an_interrupted_run_is_saved_and_goes_on_to_the_same_numbers(command, monkeypatch):
    from flowsim.layers import flow

    legs, inner = 0, flow._scipy_leg

    def stop(*arguments):
        nonlocal legs
        legs += 1
        if legs == 4:
            raise KeyboardInterrupt
        return inner(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(flow, "_scipy_leg", stop)
        outcome = command("layers", *QUICK, "-o", "run.nc")
    assert outcome.code == 130
    assert "interrupted" in outcome.err
    assert "--resume goes on" in outcome.err
    run = load_layers("run.nc")
    assert run.status == "stopped"
    assert 1 <= np.isfinite(run.log_norm).sum() < 4
    for option, value, difference in (
        ("--rtol", 1e-9, "its rtol is 1e-08, but 1e-09 is asked for"),
        ("--scale", 2, r"its law is Gaussian\(dim=3, scale=1\), but Gaussian\(dim=3, scale=2\) is asked for"),
        ("--time-last", 4, "its times"),
        ("--seed", 1, "its start"),
    ):
        words = {**dict(zip(QUICK[::2], QUICK[1::2], strict=True)), option: value}
        refused = command("layers", *(word for pair in words.items() for word in pair), "-o", "run.nc", "--resume")
        assert refused.code == 2
        assert re.search(difference, refused.err), refused.err
    other = command("layers", "--steps", 3, "-o", "run.nc", "--resume")
    assert other.code == 2
    assert "`resume` is a flow, but this run is a descent" in other.err
    assert command("layers", *QUICK, "-o", "run.nc", "--resume").code == 0
    assert command("layers", *QUICK, "-o", "unbroken.nc").code == 0
    the_same(load_layers("run.nc"), load_layers("unbroken.nc"))
    # one that is through is handed back as it is
    again = command("layers", *QUICK, "-o", "run.nc", "--resume")
    assert again.code == 0
    the_same(load_layers("run.nc"), load_layers("unbroken.nc"))


def test_a_run_that_overflows_is_saved_drawn_and_ends_in_failure(command, tmp_path):
    outcome = command("layers", "--depth", 3, "--step-size", 1e4, "--steps", 20, "-o", "a.nc", "--plot", "a.png")
    assert outcome.code == 1
    assert "the descent failed: the iterates left the double range" in outcome.err
    assert load_layers("a.nc").status == "overflow"
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_plot_redraws_a_saved_run_to_the_same_file(command, tmp_path):
    assert command("layers", "--depth", 3, "--steps", 100, "-o", "a.nc", "--plot", "a.pdf").code == 0
    assert command("plot", "a.nc", "-o", "b.pdf").code == 0
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert command("descend", "--steps", 10, "-o", "plane.nc").code == 0
    for words in (("a.nc", "plane.nc"), ("a.nc", "--figure", "rates")):
        outcome = command("plot", *words, "-o", "c.pdf")
        assert outcome.code == 2
        assert "runs of layers are drawn without runs of another kind beside them and without --figure" in outcome.err
    assert command("plot", "a.nc", "-o", "c.pdf", "--page", "icml-single").code == 2


REFUSED = {
    "layers --start zeros": r"`start` must be one of .*balanced.*, but is 'zeros'",
    "layers --start xavier --start-scale 2": "--start-scale does not belong to the start 'xavier'",
    "layers --start gaussian --norm 2": "--norm does not belong to the start 'gaussian', whose options are --start-scale",
    "layers --start unit-vectors --norm 2": "--norm does not belong to the start 'unit-vectors', whose options are --angle, --w",
    "layers --start balanced --start-scale 2": "--start-scale does not belong to the start 'balanced'",
    "layers --start identity --seed 2": "--seed does not belong to the start 'identity', in which nothing is drawn",
    "layers --start identity --seeds 2": "--seeds does not belong to the start 'identity'",
    "layers --start balanced --w 1 0": "--w and --v must be given together",
    "layers --start balanced --w 1 0 --v 0 1 --angle 1": "--norm and --angle must be left out",
    "layers --v 1 0 0": r"`v` must be a nonzero vector of shape \(2,\)",
    "layers --start-scale 0": "`scale` must be positive",
    "layers --seeds 0": "`seeds` must be a whole number, 1 or more, but is 0",
    "layers --seed -1": "`seed` must be a whole number, 0 or more, but is -1",
    "layers --depth 0": "`depth` must be a whole number from 1 to 100, but is 0",
    "layers --depth 3 --width 1 2 3": "`width` must be one number, or 2 of them",
    "layers --times 2 1": "`times` must increase strictly",
    "layers --times 1 --count 2": "--time-first, --time-last and --count must be left out where --times",
    "layers --solver euler": "`solver` must be one of",
    "layers --rtol 1": "`rtol` must be in",
    "layers --step-size 0": "`step_size` must be positive",
    "layers --steps 5 4": "`steps` must increase strictly",
    **{f"layers --steps 5 --{name} 2": f"--{name} does not belong to descent" for name in ("times", "time-first", "time-last", "count")},
    "layers --step-size 1 --solver bdf": "--solver does not belong to descent, which --step-size and --steps ask for",
    "layers --step-size 1 --rtol 1e-6": "--rtol does not belong to descent",
    "layers --observe margin": "`observe` must be one of layer_norm, .*, but is 'margin'",
    "layers --resume": "--resume needs --output",
    "layers --resume -o gone.nc": "--resume needs a run at --output to go on with, but there is no file 'gone.nc'",
    "layers --checkpoint-every -1": "`checkpoint_every` must be zero or positive",
    "layers --plot a.gif": r"must end in \.pdf, \.png or \.svg",
    "layers -o gone/run.nc": "cannot write 'gone/run.nc': No such file or directory",
}


@pytest.mark.parametrize("line", REFUSED)
def test_bad_input_is_one_line_and_exit_code_2(command, monkeypatch, line):
    def ran(*_, **__):
        raise AssertionError("a run was started")

    for module in ("flow", "descent"):
        monkeypatch.setattr(sys.modules[f"flowsim.layers.{module}"], "follow", ran)
    outcome = command(*line.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert re.search(REFUSED[line], outcome.err), outcome.err
