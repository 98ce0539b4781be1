"""sgd: what it runs by default and otherwise, files that a killed run is taken up from, and the paper's figure 1."""

import re
import signal
import subprocess
import sys
import time

import matplotlib.figure
import numpy as np
import pytest

import flowsim as fs
from flowsim.layers import load_layers
from flowsim.samples import draw, sample_descent
from flowsim.theory.paper import FIGURE_1


def the_same(run, other):
    np.testing.assert_array_equal(run.step, other.step)
    np.testing.assert_array_equal(run.log_norm, other.log_norm)
    np.testing.assert_array_equal(run.log_tan_half_angle, other.log_tan_half_angle)
    np.testing.assert_array_equal(run.status, other.status)
    for one, two in zip(run.last.matrices, other.last.matrices, strict=True):
        np.testing.assert_array_equal(one, two)


def test_each_depth_is_the_librarys_run_in_a_file_of_its_own(command):
    law = ("--law", "laplace", "--dim", 3, "--scale", 0.5, "--label-noise", 0.1)
    start = ("--w", 0.6, -0.8, 0.2, "--v", 0, 1, 1)
    outcome = command(
        *("sgd", *law, *start, "--depth", 1, 3, "--width", 2, "--step-size", 0.1),
        *("--batch", 50, "--steps", 0, 40, 100, "--seeds", 2, "--seed", 5, "-o", "run.nc"),
    )
    assert (outcome.code, outcome.err) == (0, "")
    risk = fs.PopulationRisk(fs.Laplace(3, 0.5), 0.1)
    for depth in (1, 3):
        run = load_layers(f"run-{depth}.nc")
        begin = fs.layers.balanced([0.6, -0.8, 0.2], depth, 2, 5)
        the_same(run, fs.samples.sgd(risk, begin, 0.1, [0, 40, 100], 50, seed=[5, 6], v=[0, 1, 1]))
        assert str(run) in outcome.out
        assert run.shape == (2,)


def test_by_default_it_is_the_papers_experiment(command):
    assert command("sgd", "--depth", 4, "--steps", 10, "--batch", 20, "-o", "run.nc").code == 0
    run = load_layers("run.nc")
    assert run.problem == FIGURE_1.risk
    np.testing.assert_array_equal(run.v, FIGURE_1.teacher)
    np.testing.assert_allclose(run.start.end_to_end, FIGURE_1.predictor, rtol=1e-15)
    np.testing.assert_allclose([np.linalg.norm(matrix) for matrix in run.start.matrices], 1.0, rtol=1e-15)
    np.testing.assert_array_equal(run.time, FIGURE_1.step_size * np.arange(11))


def test_norm_and_angle_say_where_it_starts(command):
    assert command("sgd", "--dim", 3, "--depth", 2, "--norm", 2, "--angle", 1.0, "--steps", 1, "--batch", 2, "-o", "a.nc").code == 0
    run = load_layers("a.nc")
    assert (run.norm[0], run.angle[0]) == (pytest.approx(2.0, rel=1e-12), pytest.approx(1.0, rel=1e-12))
    np.testing.assert_array_equal(run.v, [0.0, 1.0, 0.0])


def test_a_data_set_is_taken_in_batches_or_whole(command):
    data, begin = draw(fs.Sphere(2), 30, 3, [0.0, 1.0]), fs.layers.balanced([0.6, -0.8], 2)
    words = ("--depth", 2, "--samples", 30, "--seed", 3, "--step-size", 0.1, "--steps", 0, 10)
    assert command("sgd", *words, "--full-batch", "-o", "whole.nc").code == 0
    the_same(load_layers("whole.nc"), sample_descent(data, begin, 0.1, [0, 10]))
    assert command("sgd", *words, "--batch", 5, "-o", "some.nc").code == 0
    the_same(load_layers("some.nc"), fs.samples.sgd(data, begin, 0.1, [0, 10], 5, 3))


def test_a_killed_run_is_taken_up_to_the_same_numbers(command, tmp_path):
    words = ["sgd", "--depth", "2", "--width", "3", "--steps", "20000", "--batch", "200", "--seeds", "2"]
    program = [sys.executable, "-m", "flowsim.cli", *words, "-o", "run.nc", "--checkpoint-every", "0"]
    with subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120.0
        while not (tmp_path / "run.nc").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    part = load_layers(tmp_path / "run.nc")
    assert process.returncode == -signal.SIGKILL
    assert part.state
    assert np.isnan(part.log_norm[:, -1]).all()
    outcome = command(*words, "-o", "run.nc", "--resume")
    assert (outcome.code, outcome.err) == (0, "")
    unbroken = fs.samples.sgd(FIGURE_1.risk, fs.layers.balanced([0.6, -0.8], 2, 3), steps=part.step, batch=200, seed=[0, 1], v=[0.0, 1.0])
    the_same(load_layers("run.nc"), unbroken)
    refused = command(*words, "--step-size", 0.01, "-o", "run.nc", "--resume")
    assert refused.code == 2
    assert "`resume` is another run: its step_size is 0.001, but 0.01 is asked for" in refused.err
    the_same(load_layers("run.nc"), unbroken)


def test_an_interrupted_run_is_saved_and_the_rest_left(command, monkeypatch, tmp_path):
    from flowsim.samples.networks import Networks

    reads, inner = 0, Networks.read

    def stop(self, state, status):
        nonlocal reads
        reads += 1
        if reads == 3:
            raise KeyboardInterrupt
        return inner(self, state, status)

    monkeypatch.setattr(Networks, "read", stop)
    outcome = command("sgd", "--steps", 0, 1, 2, 3, "--batch", 2, "-o", "run.nc", "--plot", "a.png")
    assert outcome.code == 130
    assert "interrupted" in outcome.err
    assert load_layers("run-1.nc").status == "stopped"
    assert not (tmp_path / "run-4.nc").exists()
    assert not (tmp_path / "a.png").exists()


def test_the_figure_is_drawn_in_one_command(command, tmp_path):
    # from an angle at which the norm grows at once, so that no turning point has to be found
    outcome = command("sgd", "--depth", 1, "--angle", 1, "--steps", 0, 100, 200, "--batch", 10, "--seeds", 2, "--plot", "figure.svg")
    assert (outcome.code, outcome.err) == (0, "")
    said = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert "SGD (band: 2 seeds)" in said
    assert "from 5" not in said


def test_the_papers_own_start_has_the_papers_own_restarts(command, monkeypatch):
    drawn = []

    def paper_figure(flows, descents, restarts, sgd):
        drawn.append((flows, descents, restarts, sgd))
        return matplotlib.figure.Figure()

    monkeypatch.setattr("flowsim.present.paper_figure", paper_figure)
    assert command("sgd", "--depth", 1, "--steps", 0, 100, 200, "--batch", 10, "--plot", "a.svg").code == 0
    ((flows, descents, restarts, (run,)),) = drawn
    assert dict(restarts) == {1: 5.0, 4: 18.0}
    for other in (flows, descents):
        np.testing.assert_allclose(other.time.reshape(-1), run.time, atol=1e-15)
        assert other.norm[0, 0] == pytest.approx(run.norm[0], rel=1e-12)
        assert other.angle[0, 0] == pytest.approx(run.angle[0], rel=1e-12)
        # 200 steps of batches of 10: the angle is off by a few hundredths
        assert other.angle[0, -1] == pytest.approx(run.angle[-1], abs=0.05)


REFUSED = {
    "sgd --law circle": r"`law` must be one of gaussian, sphere, .* but is 'circle'",
    "sgd --full-batch": "--full-batch needs --samples",
    "sgd --full-batch --samples 10 --batch 5": "--batch must be left out with --full-batch",
    "sgd --full-batch --samples 10 --seeds 2": "--seeds must be left out with --full-batch",
    "sgd --resume": "--resume needs --output",
    "sgd --w 1 0": "--w and --v must be given together",
    "sgd --w 1 0 --v 0 1 --angle 1": "--norm and --angle must be left out",
    "sgd --w 1 0 --v 0 1 0": "--v must have 2 components, as many as x, but has 3",
    "sgd --norm -1": "`norm` must be positive",
    "sgd --angle 4": "`angle` must be in",
    "sgd --depth 0": "`depth` must be a whole number from 1 to 100, but is 0",
    "sgd --width 0": "`width` must be a whole number, 1 or more, but is 0",
    "sgd --batch 0": "`batch` must be a whole number, 1 or more, but is 0",
    "sgd --seeds 0": "`seeds` must be a whole number, 1 or more, but is 0",
    "sgd --seed -1": "`seed` must be a whole number, 0 or more, but is -1",
    "sgd --samples 0": "`n` must be a whole number, 1 or more, but is 0",
    "sgd --step-size 0": "`step_size` must be positive",
    "sgd --steps 5 4": "`steps` must increase strictly",
    "sgd --steps 0 --plot a.pdf": "--steps must be 1 or more with --plot",
    "sgd --label-noise 0.1 --plot a.pdf": "--label-noise must be left out with --plot",
    "sgd --plot a.gif": r"must end in \.pdf, \.png or \.svg",
    "sgd --output gone/run.nc": "cannot write 'gone/run-1.nc': No such file or directory",
    "sgd --checkpoint-every -1": "`checkpoint_every` must be zero or positive",
}


@pytest.mark.parametrize("line", REFUSED)
def test_bad_input_is_one_line_and_exit_code_2(command, monkeypatch, line):
    def ran(*_, **__):
        raise AssertionError("a run was started")

    # the module, whose name in its room is that of its function
    monkeypatch.setattr(sys.modules["flowsim.samples.sgd"], "follow", ran)
    outcome = command(*line.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert re.search(REFUSED[line], outcome.err), outcome.err
