"""The figure of the crossover: what is drawn is the runs' and theory's own, and runs that do not belong together are refused."""

import numpy as np
import pytest

import flowsim as fs
from flowsim.present import crossover_figure, crossover_runs
from flowsim.present.crossover import _power

SIZES, SETS = (200, 100), 3


@pytest.fixture(scope="module")
def made():
    return crossover_runs(fs.Gaussian(dim=2), sizes=SIZES, sets=SETS, last=30.0, count=12)


@pytest.fixture(scope="module")
def figure(made):
    figure = crossover_figure(*made)
    figure.draw_without_rendering()
    return figure


def lines(ax, name):
    return [line for line in ax.get_lines() if line.get_label() == name]


def test_the_runs_are_of_data_sets_of_their_own(made):
    flow, runs = made
    assert [run.config["data"]["samples"] for run in runs] == [200] * SETS + [100] * SETS
    assert [run.config["data"]["seed"] for run in runs] == 2 * list(range(SETS))
    for run in runs:
        np.testing.assert_array_equal(run.time, flow.time)
        assert float(np.linalg.norm(run.start.end_to_end)) == pytest.approx(1.0, rel=1e-12)


def test_lines_are_root_mean_squares_in_the_band_of_all(made, figure):
    flow, runs = made
    left = figure.axes[0]
    (population,) = lines(left, "population")
    np.testing.assert_array_equal(population.get_ydata(), flow.angle)
    bands = [band for band in left.collections if band.get_label() == "_band"]
    # in the order of n, not of the runs
    for n, band, some in zip((100, 200), bands, (runs[SETS:], runs[:SETS]), strict=True):
        angles = np.array([run.angle for run in some])
        (line,) = lines(left, f"n = {n}")
        np.testing.assert_allclose(line.get_ydata(), np.sqrt((angles**2).mean(axis=0)), rtol=1e-12)
        heights = band.get_paths()[0].vertices[:, 1]
        assert (heights.min(), heights.max()) == pytest.approx((angles.min(), angles.max()), rel=1e-12)


def test_dashed_lines_are_the_error_of_the_samples_at_the_populations_norm(made, figure):
    flow, _ = made
    dashed = lines(figure.axes[0], "_theory")
    assert len(dashed) == 2
    for n, line in zip((100, 200), dashed, strict=True):
        drawn = np.isfinite(line.get_ydata())
        assert drawn[-1]
        assert not drawn[0]
        expected = fs.theory.sample_direction_error(flow.problem, flow.norm[drawn], n)
        np.testing.assert_allclose(line.get_ydata()[drawn], expected, rtol=1e-12)


def test_the_other_panel_has_the_times_against_theory(made, figure):
    flow, _ = made
    right = figure.axes[1]
    (dashed,) = lines(right, "_theory")
    for k in (0, -1):
        expected = fs.theory.direction_crossover(flow.problem, flow.start, int(dashed.get_xdata()[k]), 1).time
        assert dashed.get_ydata()[k] == pytest.approx(expected, rel=1e-12)
    points = [container for container in right.containers if str(container.get_label()).startswith("n = ")]
    assert [float(point.lines[0].get_xdata()[0]) for point in points] == [100.0, 200.0]
    for point in points:
        assert flow.time[0] < float(point.lines[0].get_ydata()[0]) < flow.time[-1]


def test_runs_of_another_kind_time_or_law_are_refused(made):
    flow, runs = made
    descent = fs.samples.sample_descent(fs.samples.draw(flow.problem, 10), fs.layers.balanced([0.6, 0.8], 1), steps=[0])
    for wrong in ([], [flow], [descent]):
        with pytest.raises(ValueError, match=r"`runs` must be LayerRuns of flowsim\.samples\.sample_flow"):
            crossover_figure(flow, wrong)
    other = fs.gradient_flow(flow.problem, flow.start, 2.0 * flow.time)
    with pytest.raises(ValueError, match="`runs` must have the law, the depth and the times of `flow`"):
        crossover_figure(other, runs)
    with pytest.raises(ValueError, match="`page` must be 'neurips' or 'icml-double' for crossover_figure"):
        crossover_figure(flow, runs, page="icml-single")
    with pytest.raises(ValueError, match="`sizes`"):
        crossover_runs(sizes=[0])


def test_powers_of_ten_are_named_as_such():
    assert [_power(n) for n in (100, 10**5, 250)] == ["10^{2}", "10^{5}", "250"]
