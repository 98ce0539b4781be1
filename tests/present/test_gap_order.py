"""The gap of descent to its flow against the step size, drawn from descents alone."""

import numpy as np
import pytest

import flowsim as fs
from flowsim.present import gap_order_figure, plot_gap_order

TIME = 4.0
SIZES = TIME / 2.0 ** np.arange(6, 12)


@pytest.fixture(scope="module")
def descents(gaussian):
    return [fs.gradient_descent(gaussian, fs.Start(), float(eta), [round(TIME / eta)], depth=3) for eta in SIZES]


@pytest.fixture(scope="module")
def gaps(gaussian, descents):
    """Gaps in s and in the norm from runs of other solvers, and of the modified flow, typed out."""
    flow = fs.gradient_flow(gaussian, fs.Start(), [TIME], depth=3, solver="dop853", rtol=1e-12)
    modified = [fs.modified_flow(gaussian, fs.Start(), [TIME], float(eta), depth=3, rtol=1e-12) for eta in SIZES]
    out = {}
    for name, others in (("flow", [flow] * SIZES.size), ("modified", modified)):
        pairs = list(zip(descents, others, strict=True))
        out[name, "direction"] = np.array([float(abs(run.log_tan_half_angle[-1] - other.log_tan_half_angle[-1])) for run, other in pairs])
        out[name, "norm"] = np.array([float(abs(run.norm[-1] / other.norm[-1] - 1.0)) for run, other in pairs])
    return out


@pytest.mark.parametrize("quantity", ["direction", "norm"])
def test_points_are_the_gaps_and_theory_has_slopes_1_and_2(descents, gaps, lines, quantity):
    ax = plot_gap_order(descents, quantity)
    for line, name, slope in zip(lines[0](ax), ("flow", "modified"), (1.0, 2.0), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), SIZES)
        np.testing.assert_allclose(line.get_ydata(), gaps[name, quantity], rtol=1e-2)
        assert line.get_marker() == "o"
        fitted = np.polyfit(np.log(SIZES), np.log(gaps[name, quantity]), 1)[0]
        assert float(line.get_label().split()[-1]) == pytest.approx(fitted, abs=2e-3)
        assert fitted == pytest.approx(slope, abs=0.1)
    first, second = lines[1](ax)
    for line, slope in ((first, 1.0), (second, 2.0)):
        assert np.diff(np.log(line.get_ydata())) / np.diff(np.log(line.get_xdata())) == pytest.approx(slope, rel=1e-9)
    # slope 1 is the predicted gap, not a fit; it meets the measured one as eta falls
    ahead = fs.dynamics.gap_prediction(descents[0].problem, fs.Start(), [TIME], 1.0, 3)
    predicted = abs(float((ahead.log_tan_half_angle if quantity == "direction" else ahead.log_norm)[0]))
    np.testing.assert_allclose(first.get_ydata(), predicted * SIZES, rtol=1e-6)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_ylabel().endswith("at $t=4$")
    assert not lines[1](plot_gap_order(descents, quantity, theory=False))


def test_an_order_already_known_is_drawn_as_it_is(gaussian, descents, lines):
    order = fs.gap_order(gaussian, fs.Start(), TIME, 3, SIZES)
    for line, other in zip(lines[0](plot_gap_order(order)), lines[0](plot_gap_order(descents)), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), other.get_ydata())


def test_on_a_ray_the_direction_has_no_gap(gaussian, lines):
    runs = [fs.gradient_descent(gaussian, fs.Start(1.0, 0.0), eta, [round(TIME / eta)], depth=2) for eta in (0.125, 0.0625)]
    ax = plot_gap_order(runs)
    assert ax.texts[0].get_text() == "no gap"
    figure = gap_order_figure(runs)
    figure.draw_without_rendering()
    assert [text.get_text().count("in $s$") for text in figure.legends[0].get_texts()] == [0, 0, 0]
    assert len(lines[0](figure.axes[1])) == 0  # two points each
    assert len(lines[1](figure.axes[1])) == 2


def test_the_figure_names_both_slopes(descents):
    figure = gap_order_figure(descents)
    figure.draw_without_rendering()
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[0].startswith("gap to the flow, slope ")
    assert names[1].startswith("gap to the modified flow, slope ")
    assert names[2] == "theory, slopes 1 and 2"
    assert all("in $s$" in name and "in $|w|$" in name for name in names[:2])


def test_what_has_no_gap_order_is_refused(gaussian, descents, flows):
    with pytest.raises(ValueError, match="`quantity` must be one of direction, norm, but is 'risk'"):
        plot_gap_order(descents, "risk")
    with pytest.raises(ValueError, match="`descents` must be Trajectories of descents, but one is 'flow'"):
        plot_gap_order(flows)
    with pytest.raises(ValueError, match="`descents` must have two step sizes or more, but have 1"):
        plot_gap_order(descents[:1])
