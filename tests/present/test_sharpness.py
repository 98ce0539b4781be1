"""Sharpness against the edge of stability, in either unit."""

import numpy as np
import pytest

import flowsim as fs
from flowsim.present import plot_sharpness, sharpness_figure


@pytest.fixture(scope="module")
def runs(gaussian):
    return fs.gradient_descent(gaussian, fs.Start(), [0.5, 2.0], 3000, depth=4)


def crossings(ax):
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.get_lines() if line.get_marker() == "o"]


def test_sigma_is_drawn_against_2(runs, lines):
    ax = plot_sharpness(runs)
    for line, run in zip(lines[0](ax), (runs[0], runs[1]), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), run.sharpness)
    assert [line.get_ydata()[0] for line in lines[1](ax)] == [2.0]
    assert ax.texts[0].get_text() == r"$\sigma=2$"
    assert ax.get_legend().get_texts()[0].get_text().startswith(r"$\eta=0.5$")


def test_lambda_is_drawn_against_2_over_eta(runs, lines):
    """lambda is the curvature of the loss across w in the first layer: a^(2N-2) (c - h(r))/r, here from its definition."""
    ax = plot_sharpness(runs, scaled=False)
    for line, run in zip(lines[0](ax), (runs[0], runs[1]), strict=True):
        curvature = np.exp(6.0 * run.log_layer) * (run.problem.pull - run.problem.growth(run.norm)) / run.norm
        np.testing.assert_allclose(line.get_ydata(), curvature, rtol=1e-9)
    assert [line.get_ydata()[0] for line in lines[1](ax)] == [4.0, 1.0]
    assert ax.texts[0].get_text() == r"$2/\eta$"
    assert ax.get_ylabel() == r"sharpness  $\lambda=\sigma/\eta$"
    low, high = ax.get_ylim()
    assert low < 1.0 < 4.0 < high


@pytest.mark.parametrize("scaled", [True, False])
def test_the_first_record_past_the_edge_is_marked(runs, scaled):
    ax = plot_sharpness(runs, scaled=scaled)
    for (time, value), run in zip(crossings(ax), (runs[0], runs[1]), strict=True):
        first = int(np.flatnonzero(run.sharpness >= 2.0)[0])
        assert first > 0
        assert time == run.time[first]
        assert value == run.sharpness[first] / (1.0 if scaled else float(run.step_size))


def test_a_schedule_has_an_edge_that_moves(gaussian, lines):
    etas = np.linspace(0.1, 0.4, 50)
    run = fs.gradient_descent(gaussian, fs.Start(), fs.Schedule(etas), np.arange(51), depth=3)
    ax = plot_sharpness(run, scaled=False)
    np.testing.assert_allclose(lines[1](ax)[0].get_ydata()[:-1], 2.0 / etas)
    np.testing.assert_allclose(lines[0](ax)[0].get_ydata()[:-1], run.sharpness[:-1] / etas)
    assert np.isnan(lines[0](ax)[0].get_ydata()[-1])
    plot_sharpness(run).figure.draw_without_rendering()


def test_an_edge_shared_by_runs_is_drawn_once(gaussian, lines):
    runs = fs.gradient_descent(gaussian, fs.Start(), 0.5, 50, depth=[2, 3])
    assert len(lines[1](plot_sharpness(runs, scaled=False))) == 1


def test_a_flow_and_a_schedule_without_a_next_step_have_none_to_draw(gaussian, flows):
    with pytest.raises(ValueError, match="a flow has no step size"):
        plot_sharpness(flows)
    run = fs.gradient_descent(gaussian, fs.Start(), fs.Schedule([0.1]), [1], depth=2)
    assert plot_sharpness(run, scaled=False).texts[0].get_text() == "nothing recorded"


def test_a_failed_run_is_drawn_as_far_as_it_got(gaussian):
    run = fs.gradient_descent(gaussian, fs.Start(1.0, 3.0), 100.0, 1000, depth=3)
    assert run.status == "overflow"
    figure = sharpness_figure(run)
    figure.draw_without_rendering()
    assert np.isfinite(figure.axes[0].get_lines()[0].get_ydata()).any()


def test_the_figure_shows_the_unscaled_form(runs):
    assert sharpness_figure(runs).axes[0].get_ylabel() == r"sharpness  $\lambda=\sigma/\eta$"
    assert sharpness_figure(runs, scaled=True).axes[0].get_ylabel() == r"sharpness  $\sigma$"
    assert len(sharpness_figure(runs).legends[0].get_texts()) == 2
