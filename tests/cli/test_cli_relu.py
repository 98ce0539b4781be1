"""relu: what it prints, what it writes, how it ends and goes on, and what it refuses."""

import re

import numpy as np
import pytest

from flowsim.relu import load_images, load_relu, train, training

SMALL = ("--data", "small.npz", "--depth", 3, "--width", 8, "--batch", 16, "--seeds", 2, "--steps", 0, 1, 5, 20)


@pytest.fixture
def data(tmp_path):
    """A file of small images where the commands run."""
    draw = np.random.default_rng(0)
    x, y = draw.uniform(size=(60, 6)), np.tile([0, 1, 2], 20)
    x[np.arange(60), y] += 1.0
    np.savez(tmp_path / "small.npz", x_train=x[:42], y_train=y[:42], x_test=x[42:], y_test=y[42:])
    return tmp_path


def interrupt_after(monkeypatch, calls):
    inner, left = training._descend_all, [calls]

    def descend(*args):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return inner(*args)

    monkeypatch.setattr(training, "_descend_all", descend)


def the_same(run, other):
    for name in ("test_error", "train_loss", "log_product_norm", "largest_output", "status"):
        np.testing.assert_array_equal(getattr(run, name), getattr(other, name))


def test_relu_saves_prints_and_draws_what_the_library_computes(command, data):
    outcome = command("relu", *SMALL, "--alpha", 3, "-o", "run.nc", "--plot", "run.svg")
    assert (outcome.code, "error" in outcome.err) == (0, False)
    words = {"seeds": 2, "depth": 3, "width": 8, "batch": 16, "steps": [0, 1, 5, 20]}
    expected = train(load_images("small.npz"), weight_scales=[1.0, 3.0, 1.0], data_scales=[1.0, 1.0, 3.0], **words)
    run = load_relu("run.nc")
    the_same(run, expected)
    assert run.config == expected.config
    printed = outcome.out.splitlines()
    assert printed[:6] == str(expected).splitlines()
    assert printed[7].split() == ["step_size", "weights_x", "data_x", "k", "test_error", "train_loss", "log10_norm", "seeds"]
    assert len(printed) == 8 + 9
    last = printed[-1].split()
    assert last[:4] == ["0.005", "1", "3", "20"]
    medians = [np.median(values[2, 2, :, -1]) for values in (run.test_error, run.train_loss, run.log_product_norm / np.log(10.0))]
    assert [float(word) for word in last[4:7]] == pytest.approx(medians, rel=1e-3)
    assert last[7:] == ["2", "ok"]
    assert (data / "run.svg").stat().st_size > 10_000
    again = command("relu", "--resume", "-o", "run.nc", "--plot", "again.svg")
    assert (again.code, again.out) == (0, outcome.out)
    assert (data / "again.svg").read_bytes() == (data / "run.svg").read_bytes()
    the_same(load_relu("run.nc"), run)
    assert command("plot", "run.nc", "-o", "plotted.svg").code == 0
    assert (data / "plotted.svg").read_bytes() == (data / "run.svg").read_bytes()


@pytest.mark.parametrize(
    ("words", "weights", "images"),
    [
        ("--scale data", [1.0, 1.0], [1.0, 10.0]),
        ("--scale data weights", [1.0, 1.0, 10.0], [1.0, 10.0, 1.0]),
        ("--alpha 3", [1.0, 3.0, 1.0], [1.0, 1.0, 3.0]),
        ("--alpha 1", [1.0], [1.0]),
    ],
)
def test_one_scale_two_or_none_stand_beside_the_unscaled_networks(command, data, monkeypatch, words, weights, images):
    asked = []

    def heard(*args, **words):
        asked.extend(args)
        raise ValueError("heard enough")

    monkeypatch.setattr("flowsim.relu.train", heard)
    assert command("relu", *SMALL, *words.split()).code == 2
    assert asked[1:] == [(0.1, 0.01, 0.005), weights, images]


def test_an_interrupted_run_is_saved_says_so_and_goes_on_to_the_same_numbers(command, data, monkeypatch):
    assert command("relu", *SMALL, "-o", "whole.nc").code == 0
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        outcome = command("relu", *SMALL, "-o", "run.nc", "--plot", "run.svg")
    assert outcome.code == 130
    assert "flowsim: error: interrupted; what was reached is printed, and saved where --output was given" in outcome.err
    assert "interrupted; what was reached is kept" in outcome.out
    assert load_relu("run.nc").reached < 20
    assert (data / "run.svg").stat().st_size > 10_000
    assert command("relu", "--resume", "-o", "run.nc").code == 0
    the_same(load_relu("run.nc"), load_relu("whole.nc"))


def test_an_interruption_before_anything_can_be_drawn_is_still_an_interruption(command, data, monkeypatch):
    interrupt_after(monkeypatch, 0)
    outcome = command("relu", *SMALL, "-o", "run.nc", "--plot", "run.svg")
    assert outcome.code == 130
    assert "`runs` must have a record after k = 0 to be drawn" in outcome.err
    assert load_relu("run.nc").reached == 0
    assert not (data / "run.svg").exists()


def test_images_that_moved_are_named_and_others_are_refused(command, data, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_after(patch, 1)
        command("relu", *SMALL, "-o", "run.nc")
    (data / "small.npz").rename(data / "moved.npz")
    outcome = command("relu", "--resume", "-o", "run.nc")
    assert (outcome.code, outcome.err) == (2, "flowsim: error: no such file: 'small.npz'\n")
    x, y = np.ones((42, 6)), np.tile([0, 1, 2], 14)
    np.savez("other.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    outcome = command("relu", "--resume", "-o", "run.nc", "--data", "other.npz")
    assert outcome.code == 2
    assert "`images` must be those the run began with, 'small.npz', but are others, from 'other.npz'" in outcome.err
    assert command("relu", "--resume", "-o", "run.nc", "--data", "moved.npz").code == 0
    assert load_relu("run.nc").ok


def test_a_network_that_diverges_ends_in_failure_and_one_that_dies_does_not(command, data):
    outcome = command("relu", *SMALL, "--alpha", 1e120, "-o", "run.nc")
    assert outcome.code == 1
    assert "flowsim: error: some networks failed: " in outcome.err
    assert "a weight or the loss left the double range" in outcome.err
    # three layers of weights x 1e120, at each of three step sizes
    assert (load_relu("run.nc").status[:, 1] == "diverged").all()
    assert outcome.out.count("2 diverged") >= 3
    outcome = command("relu", *SMALL, "--alpha", 2, "--step-size", 100, 0.1, 0.01, "-o", "run.nc")
    assert outcome.code == 0
    assert (load_relu("run.nc").status[0] == "dead").any()


def test_a_full_disk_does_not_lose_the_table(command, data, monkeypatch):
    def full(self, path):
        raise OSError(f"cannot write {str(path)!r}: No space left on device")

    monkeypatch.setattr("flowsim.relu.ReluRun.save", full)
    outcome = command("relu", *SMALL, "-o", "run.nc")
    assert outcome.code == 1
    assert "flowsim: error: cannot write 'run.nc': No space left on device" in outcome.err
    assert "ReLU networks of depth 3" in outcome.out
    assert "log10_norm" in outcome.out


REFUSED = {
    "--data gone.npz": "no such file: 'gone.npz'",
    "--data words.npz": r"'words\.npz' is not a file of images, or is cut short",
    "--scale both": 'Invalid value "both" for --scale',
    "--alpha 0": "`alpha` must be positive and finite, but is 0",
    "--step-size -1": "`step_sizes` must be positive and finite, but is -1",
    "--seeds 0": "`seeds` must be a whole number, 1 or more, but is 0",
    "--depth 0": "`depth` must be a whole number, 1 or more, but is 0",
    "--width 0": "`width` must be",
    "--batch 0": "`batch` must be",
    "--steps 5 5": "`steps` must increase strictly",
    "--steps 1.5": "--steps: must be a whole number, but is '1.5'",
    "--initial xavier": 'Invalid value "xavier" for --initial',
    "--output gone/run.nc": "cannot write 'gone/run.nc': No such file",
    "--plot run.gif": r"must end in \.pdf, \.png or \.svg, but is 'run\.gif'",
    "--resume -o gone.nc": "no such file: 'gone.nc'",
    "--resume -o words.npz": r"'words\.npz' is not a run of ReLU networks, or is cut short",
    "--resume": "--resume needs --output, where the run stands",
    "--resume -o run.nc --alpha 3 --step-size 1": "--alpha, --step-size must be left out with --resume",
}


@pytest.mark.parametrize("line", REFUSED)
def test_bad_input_is_one_line_and_exit_code_2(command, monkeypatch, tmp_path, line):
    def ran(*_, **__):
        raise AssertionError("a run was started")

    monkeypatch.setattr("flowsim.relu.training._follow", ran)
    (tmp_path / "words.npz").write_text("words")
    outcome = command("relu", *line.split())
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert re.search(REFUSED[line], outcome.err), outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["words.npz"]
