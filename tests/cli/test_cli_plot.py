"""plot: every figure from saved files alone, on every page; what does not go together is refused in one line."""

import re

import numpy as np
import pytest

import flowsim as fs

FIGURES = {
    "trajectory": "batch.nc",
    "rates": "batch.nc",
    "exponents": "batch.nc",
    "straight": "batch.nc",
    "comparison": "flow.nc descent.nc",
    "gap-order": "sizes.nc",
    "sharpness": "sizes.nc",
    "two-phases": "batch.nc",
    "bounds": "batch.nc",
    "paper": "batch.nc descents.nc",
}
WIDTHS = {"neurips": 396.0, "icml-single": 234.0}


@pytest.fixture(scope="module")
def saved(gaussian, tmp_path_factory):
    """The files of a line such as "flow.nc --page neurips" by their paths: runs of all kinds."""
    folder = tmp_path_factory.mktemp("saved")
    start, record = fs.Start(1.0, 2.0), np.arange(0, 201, 20)
    descent = fs.gradient_descent(gaussian, start, 0.1, record, depth=3)
    descents = fs.gradient_descent(gaussian, start, 0.1, record, depth=[1, 3])
    sizes = fs.gradient_descent(gaussian, start, [0.5, 0.25, 0.125], [8, 16, 32], depth=2)
    flow = fs.gradient_flow(gaussian, start, 0.1 * record, depth=3)
    batch = fs.gradient_flow(gaussian, start, 0.1 * record, depth=[1, 3])
    noisy = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2), 0.1), start, 0.1 * record, depth=3)
    runs = {"descent": descent, "descents": descents, "sizes": sizes, "flow": flow, "batch": batch, "noisy": noisy}
    for name, run in runs.items():
        run.save(folder / f"{name}.nc")
    return lambda line: [folder / word if word.endswith(".nc") else word for word in line.split()]


def page_width(path):
    return float(re.search(rb"/MediaBox \[ ?0 0 ([0-9.]+)", path.read_bytes())[1])


@pytest.mark.parametrize("figure", FIGURES)
def test_each_figure_is_drawn_from_files_alone_on_its_page(command, saved, tmp_path, figure):
    for page, width in WIDTHS.items():
        outcome = command("plot", *saved(FIGURES[figure]), "--figure", figure, "--page", page, "-o", "a.pdf")
        if page == "icml-single" and figure in ("comparison", "paper"):
            assert outcome.code == 2
            assert re.search("`page` must be 'neurips' or 'icml-double'", outcome.err)
            continue
        assert (outcome.code, outcome.err) == (0, "")
        assert page_width(tmp_path / "a.pdf") == width


def test_the_default_figure_and_page(command, saved, tmp_path):
    for files, figure in (("flow.nc descent.nc", "comparison"), ("batch.nc", "trajectory"), ("flow.nc batch.nc", "trajectory")):
        assert command("plot", *saved(files), "-o", "a.png").code == 0
        assert command("plot", *saved(files), "-o", "b.png", "--figure", figure, "--page", "neurips").code == 0
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_an_svg_has_its_words_in_it(command, saved, tmp_path):
    assert command("plot", *saved("batch.nc"), "-o", "a.svg", "--figure", "two-phases").code == 0
    assert "rising from" in (tmp_path / "a.svg").read_text(encoding="utf-8")


REFUSED = {
    "flow.nc --figure comparison": "--figure comparison needs two runs, a flow and a descent, but got flow",
    "flow.nc flow.nc --figure comparison": "--figure comparison needs two runs, a flow and a descent, but got flow, flow",
    "batch.nc descent.nc --figure comparison": r"`flow` must be a single run, but is a batch of shape \(2,\)",
    "flow.nc --figure gap-order": "--figure gap-order needs descents of two step sizes or more, but got flow",
    "flow.nc descent.nc --figure gap-order": "--figure gap-order needs descents .*, but got flow, descent",
    "descent.nc --figure gap-order": "`descents` must have two step sizes or more, but have 1",
    "descent.nc sizes.nc --figure gap-order": "`descents` must have the same risk, depth and start",
    "flow.nc --figure sharpness": "--figure sharpness needs descents, but got flow",
    "descent.nc --figure two-phases": "--figure two-phases needs one to three flows, but got descent",
    "batch.nc batch.nc --figure bounds": "`flows` must be one to three runs, but are 4",
    "noisy.nc --figure bounds": r"`run` must be free of label noise for the paper's bounds, but has 0\.1",
    "noisy.nc --figure straight": "`quantity` must be direction for a run with label noise, whose norm has a limit",
    "flow.nc --figure paper": "--figure paper needs flows and descents, but got flow",
    "batch.nc descent.nc --figure paper": "`descents` must have the depths of `flows`",
    "flow.nc --figure phases": 'Invalid value "phases" for --figure',
    "flow.nc --page icml": 'Invalid value "icml" for --page',
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_does_not_go_together_is_one_line_and_no_file(plot_refuses, saved, line):
    plot_refuses(saved(line), REFUSED[line])


def test_a_failed_run_has_a_trajectory_and_no_rate(command, gaussian, tmp_path):
    fs.gradient_descent(gaussian, fs.Start(1.0, 3.0), 100.0, 1000, depth=3).save(tmp_path / "gone.nc")
    assert command("plot", "gone.nc", "-o", "a.pdf").code == 0
    outcome = command("plot", "gone.nc", "-o", "b.pdf", "--figure", "rates")
    assert outcome.code == 1
    assert "this run has no rate: the iterates left the double range" in outcome.err
