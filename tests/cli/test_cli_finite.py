"""finite: the library's runs on every kind of data and network, files that are drawn again, and the crossover's figure."""

import re

import numpy as np
import pytest

import flowsim as fs
from flowsim.finite import load_homogeneous
from flowsim.finite.real import load_data

TINY = ("--samples", 10, "--dim", 3, "--solver", "dopri8", "--rtol", 1e-6)


def the_same(run, other):
    np.testing.assert_array_equal(run.log_time, other.log_time)
    np.testing.assert_array_equal(run.direction, other.direction)
    np.testing.assert_array_equal(run.log_loss, other.log_loss)
    np.testing.assert_array_equal(run.test_error, other.test_error)
    assert run.config["network"] == other.config["network"]
    assert run.config["data"] == other.config["data"]
    assert (run.status, run.loss) == (other.status, other.loss)


def test_a_flow_is_the_librarys_and_is_drawn_again_from_its_file(command, tmp_path):
    words = (*TINY, "--seed", 3, "--start-scale", 0.5, "--log-time-last", 50, "--count", 9)
    outcome = command("finite", *words, "-o", "run.nc", "--plot", "one.svg")
    assert (outcome.code, outcome.err) == (0, "")
    data, network = fs.finite.mixture(10, 3, 2.0, seed=3, test=10_000), fs.finite.deep_linear(3)
    times = fs.finite.log_log_times(50, 9)
    run = load_homogeneous("run.nc")
    the_same(run, fs.finite.homogeneous_flow(network, data, network.start(3, 0.5), times, solver="dopri8", rtol=1e-6))
    assert str(run) in outcome.out
    head, *rows = outcome.out.split("\n\n")[-1].splitlines()
    assert head.split() == ["log_t", "log_loss", "log_norm", "margin", "1-cos(W,-grad)", "1-cos(separator)", "test_error"]
    last = [float(cell) for cell in rows[-1].split()]
    distance = run.distance_to(fs.samples.max_margin(data).direction)[-1]
    expected = [50.0, run.log_loss[-1], run.log_norm[-1], run.normalised_margin[-1], run.alignment_gap[-1], distance, run.test_error[-1]]
    assert last == pytest.approx(expected, rel=0.01)
    assert (len(rows), run.config["seed"], run.config["start_scale"]) == (8, 3, 0.5)
    # the separator is in the file: the same figure, to the last byte
    assert command("plot", "run.nc", "-o", "two.svg").code == 0
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert "angle to the separator" in (tmp_path / "two.svg").read_text(encoding="utf-8")
    refused = command("plot", "run.nc", "--figure", "rates", "-o", "c.svg")
    assert refused.code == 2
    assert "runs of homogeneous networks are drawn without runs of another kind beside them and without --figure" in refused.err


def test_descents_are_the_librarys(command):
    data = fs.finite.mixture(10, 3, 1.5, "student", 4.0, 0.1, seed=0, test=10_000)
    law = ("--samples", 10, "--dim", 3, "--signal", 1.5, "--noise", "student", "--df", 4, "--label-noise", 0.1)
    kind = ("--network", "leaky-relu", "--width", 4, "--slope", 0.2, "--fixed-output")
    words = ("finite", *law, *kind, "--loss", "logistic", "--step-size", 0.2, "--normalised", "--steps", 0, 50, 200, "-o", "run.nc")
    outcome = command(*words)
    assert (outcome.code, outcome.err) == (0, "")
    network = fs.finite.leaky_relu_network(3, [4], 0.2, fixed_output=True)
    run = load_homogeneous("run.nc")
    expected = fs.finite.homogeneous_descent(network, data, network.start(0), 0.2, [0, 50, 200], "logistic", normalised=True)
    the_same(run, expected)
    np.testing.assert_array_equal(run.step, [0, 50, 200])
    assert outcome.out.split("\n\n")[-1].split()[0] == "k"
    assert "max_margin" not in run.config


def test_the_flow_goes_on_after_the_steps(command):
    words = ("--step-size", 0.5, "--steps", 200, "--log-time-last", 20, "--count", 3)
    outcome = command("finite", *TINY, *words, "-o", "run.nc")
    assert (outcome.code, outcome.err) == (0, "")
    run = load_homogeneous("run.nc")
    assert run.kind == "homogeneous-descent"
    assert run.step[-4:].tolist() == [200, -1, -1, -1]
    assert run.log_time[-1] == pytest.approx(20.0)
    assert (np.diff(run.log_time[1:]) > 0.0).all()
    assert run.step[0] == 0


def test_real_data_and_files(command, tmp_path):
    words = ("--step-size", 0.1, "--steps", 0, 5, "-o", "run.nc")
    assert command("finite", "--data", "digits", "--classes", 4, 9, "--network", "convolution", "--channels", 2, *words).code == 0
    run, data = load_homogeneous("run.nc"), load_data("digits", [4, 9])
    network = fs.finite.convolution(64, channels=2)
    the_same(run, fs.finite.homogeneous_descent(network, data, network.start(0), 0.1, [0, 5]))
    generator = np.random.default_rng(0)
    x = generator.standard_normal((12, 3))
    # no direction separates these
    np.savez("own.npz", x=np.concatenate([x, x]), y=np.repeat([0, 1], 12))
    outcome = command("finite", "--data", "own.npz", "--depth", 2, "--width", 3, *words)
    assert (outcome.code, outcome.err) == (0, "")
    run = load_homogeneous("run.nc")
    assert run.config["data"]["name"] == "own.npz"
    assert run.config["network"]["widths"] == [3]
    assert "max_margin" not in run.config


def test_an_interrupted_run_is_saved_and_printed(command, monkeypatch, tmp_path):
    from flowsim.finite.flow import Follower

    calls, inner = 0, Follower.to

    def stop(self, lam):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return inner(self, lam)

    monkeypatch.setattr(Follower, "to", stop)
    outcome = command("finite", *TINY, "--log-times", -1, 0, 1, 2, "-o", "run.nc", "--plot", "a.png")
    assert outcome.code == 130
    assert "interrupted; what was reached is printed, and saved" in outcome.err
    run = load_homogeneous("run.nc")
    assert run.status == "stopped"
    assert np.isfinite(run.log_loss).tolist() == [True, True, False, False]
    # nothing beyond t = 1 to draw
    assert "was not drawn" in outcome.err
    assert not (tmp_path / "a.png").exists()


def test_a_run_that_fails_is_exit_code_1(command):
    outcome = command("finite", *TINY[:4], "--step-size", 1e308, "--steps", 0, 50, "-o", "run.nc")
    assert outcome.code == 1
    assert "the homogeneous-descent failed: a weight or the loss left the double range" in outcome.err
    assert load_homogeneous("run.nc").status == "overflow"


def test_the_crossover_is_drawn_in_one_command(command, monkeypatch, tmp_path):
    made, inner = [], fs.present.margin_crossover_runs

    def runs_of(law, **given):
        made.append((law, given, inner(law, **given)))
        return made[-1][-1]

    monkeypatch.setattr("flowsim.present.margin_crossover_runs", runs_of)
    small = ("--margins", 0.32, 0.31, "--samples", 3, "--seeds", 2, "--log-time-last", 9, "--count", 12)
    outcome = command("finite", "--crossover", *small, "--solver", "dopri8", "--plot", "a.svg")
    assert (outcome.code, outcome.err) == (0, "")
    ((law, given, runs),) = made
    assert law == fs.Gaussian(dim=2)
    assert given == {"margins": [0.32, 0.31], "samples": 3, "seeds": 2, "last": 9.0, "count": 12, "solver": "dopri8"}
    times = fs.present.margin_crossover_times(*runs)
    rows = [line.split() for line in outcome.out.splitlines()]
    for row, margin, some, expected in zip(rows[2:4], times.margins, times.times, times.expected, strict=True):
        assert [float(row[0]), int(row[1])] == [margin, 10]
        assert [float(row[3]), float(row[4])] == pytest.approx([np.median(some), expected], abs=1e-4, nan_ok=True)
    assert outcome.out.splitlines()[-1].endswith("theory -3")
    said = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "theory, nothing fitted" in said


REFUSED = {
    "finite --data nowhere": "must be one of digits, breast-cancer",
    "finite --data gone.npz": "no such file: 'gone.npz'",
    "finite --data digits --samples 10": "--samples does not belong to the data 'digits', whose options are --classes",
    "finite --data digits --signal 1": "--signal does not belong to the data 'digits'",
    "finite --classes 3 8": "--classes does not belong to the data 'mixture', whose options are --samples, --dim",
    "finite --noise student": "`df` must be given where `noise` is student",
    "finite --noise loud": "`noise` must be one of gaussian, student, polynomial",
    "finite --label-noise 0.5": "`label_noise` must be in",
    "finite --samples 0": "`n` must be a whole number, 1 or more, but is 0",
    "finite --network deep": "`network` must be one of linear, relu, leaky-relu, squared-relu, convolution",
    "finite --network linear --slope 0.1": "--slope does not belong to the network 'linear', whose options are --depth, --width",
    "finite --network relu --slope 0.1": "--slope does not belong to the network 'relu'",
    "finite --network relu --depth 1": "`depth` must be a whole number, 2 or more, but is 1",
    "finite --network relu --width 3 --fixed-output": "`widths` must end in an even number",
    "finite --network convolution --depth 2": "--depth does not belong to the network 'convolution'",
    "finite --network convolution --kernel 20": "`kernel` must be a whole number from 1 to 10",
    "finite --width 3": "--width does not belong to the network 'linear' with one layer",
    "finite --depth 0": "`depth` must be a whole number, 1 or more, but is 0",
    "finite --seed -1": "`seed` must be a whole number, 0 or more, but is -1",
    "finite --start-scale 0": "`scale` must be positive",
    "finite --loss hinge": "`loss` must be one of exponential, logistic",
    "finite --log-times 1 2 --count 3": "--log-time-last and --count must be left out where --log-times lists the times",
    "finite --log-times 2 1": "`log_times` must increase strictly",
    "finite --solver radau": "`solver` must be one of",
    "finite --rtol 1": "`rtol` must be",
    "finite --rounding 1": "`rounding` must be",
    "finite --step-size 0": "`step_size` must be positive",
    "finite --steps 5 4": "`steps` must increase strictly",
    "finite --steps 5 --solver dopri8": "--solver does not belong to descent, after whose steps --log-time-last asks for no flow",
    "finite --steps 5 --count 3": "--count does not belong to descent, after whose steps",
    "finite --steps 5 --log-time-last 9": "`steps` must end at 100 or more for the flow to go on",
    "finite --normalised --log-time-last 9": "`log_times` must be left out with `normalised`",
    "finite --steps 500 --log-time-last 1": "must be above",
    "finite --plot a.gif": r"must end in \.pdf, \.png or \.svg",
    "finite --output gone/run.nc": "cannot write 'gone/run.nc': No such file or directory",
    "finite --margins 0.1 0.2": "--margins does not belong to a single run, but to --crossover",
    "finite --seeds 3": "--seeds does not belong to a single run",
    "finite --crossover": "--crossover needs --plot",
    "finite --crossover --plot a.gif": r"must end in \.pdf, \.png or \.svg",
    "finite --crossover --plot a.png --network relu": "--network does not belong to --crossover",
    "finite --crossover --plot a.png --dim 3": "--dim does not belong to --crossover",
    "finite --crossover --plot a.png -o run.nc": "--output does not belong to --crossover",
    "finite --crossover --plot a.png --margins 0.1": "`margins` must be two different ones or more",
    "finite --crossover --plot a.png --law ball": "law",
    "finite --crossover --plot a.png --seeds 0": "`seeds` must be a whole number, 1 or more",
}


@pytest.mark.parametrize("line", REFUSED)
def test_bad_input_is_one_line_and_exit_code_2(command, monkeypatch, line):
    def ran(*_, **__):
        raise AssertionError("a run was started")

    monkeypatch.setattr("flowsim.finite.flow.Follower.to", ran)
    monkeypatch.setattr("flowsim.finite.descent._Walker.to", ran)
    outcome = command(*line.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert re.search(REFUSED[line], outcome.err), outcome.err
