"""What is drawn is what was run; what is predicted is dashed."""

import numpy as np
import pytest
import scipy.stats
from matplotlib.figure import Figure

import flowsim as fs
from flowsim.present import comparison_figure, plot_exponent, plot_gap, plot_path, rates_figure, trajectory_figure

VALUES = {"direction": lambda run: -run.log_tan_half_angle, "norm": lambda run: run.norm, "risk": lambda run: run.risk}


def drawable(figure):
    """Every text and line can be rendered."""
    figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize("quantity", VALUES)
def test_a_solid_line_is_the_run_itself(flows, lines, quantity):
    ax = plot_path(flows, quantity)
    drawn = lines[0](ax)
    assert len(drawn) == 4
    for line, index in zip(drawn, range(4), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), flows.time)
        np.testing.assert_array_equal(line.get_ydata(), VALUES[quantity](flows[index]))


@pytest.mark.parametrize("quantity", VALUES)
def test_a_dashed_line_is_the_theory_and_meets_the_run_late(flows, lines, quantity):
    ax = plot_path(flows, quantity)
    drawn = lines[1](ax)
    assert len(drawn) == 4
    for line, index in zip(drawn, range(4), strict=True):
        law = fs.theory.rates(flows[index].risks.item(), int(flows.depth[index]))
        times = line.get_xdata()
        expected = {"direction": -law.log_tan_half_angle(times), "norm": law.norm(times), "risk": law.risk(times)}[quantity]
        np.testing.assert_array_equal(line.get_ydata(), expected)
        assert line.get_ydata()[-1] == pytest.approx(VALUES[quantity](flows[index])[-1], rel=1e-3)
    assert not lines[1](plot_path(flows, quantity, theory=False))


@pytest.mark.parametrize("quantity", VALUES)
def test_local_exponents_are_drawn_with_their_limits(flows, lines, quantity):
    ax = plot_exponent(flows, quantity)
    limits = [line.get_ydata()[0] for line in lines[1](ax)]
    names = {"direction": [2 / 3, 1, 6 / 5, 10 / 7], "norm": [1 / 3, 1 / 2, 3 / 5, 5 / 7], "risk": [-5 / 7, -3 / 5, -1 / 2, -1 / 3]}
    np.testing.assert_allclose(limits, names[quantity], rtol=1e-14)
    fractions = {"direction": ["2/3", "1", "6/5", "10/7"], "norm": ["1/3", "1/2", "3/5", "5/7"], "risk": ["-5/7", "-3/5", "-1/2", "-1/3"]}
    assert [text.get_text() for text in ax.texts] == [f"${f}$" for f in fractions[quantity]]
    for line, index in zip(lines[0](ax), range(4), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), flows[index].local_exponent(quantity))
        assert limits[0] - 0.01 < line.get_ydata()[-1] < limits[-1] + 0.01


def test_a_plot_is_drawn_into_the_axes_given_and_returns_them(flows, pair):
    axes = Figure().subplots(3)
    assert plot_path(flows, ax=axes[0]) is axes[0]
    assert plot_exponent(flows, ax=axes[1]) is axes[1]
    assert plot_gap(fs.compare(*pair), ax=axes[2]) is axes[2]
    figure = Figure()
    assert rates_figure(flows, figure=figure) is figure
    assert len(figure.axes) == 4


def test_the_rates_figure_is_log_log_with_everything_named(flows, lines):
    figure = drawable(rates_figure(flows))
    assert len(figure.axes) == 4
    for ax in figure.axes[:2]:
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
        assert ax.get_ylabel()
        assert len(lines[0](ax)) == len(lines[1](ax)) == 4
    for ax in figure.axes[2:]:
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
        assert ax.get_xlabel() == "$t$"
        assert ax.get_ylabel()
        assert len(lines[0](ax)) == len(lines[1](ax)) == 4
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["$N=1$", "$N=2$", "$N=3$", "$N=5$", "theory, leading order"]


def test_a_sequence_of_runs_is_drawn_like_the_batch(flows, lines):
    alone = rates_figure([flows[index] for index in range(4)])
    for ax, other in zip(alone.axes, rates_figure(flows).axes, strict=True):
        for line, twin in zip(lines[0](ax), lines[0](other), strict=True):
            np.testing.assert_array_equal(line.get_ydata(), twin.get_ydata())


def test_a_saved_and_loaded_run_draws_the_same(flows, pair, lines, tmp_path):
    for run, draw in ((flows, rates_figure), (flows, trajectory_figure), (pair[1], trajectory_figure)):
        again = fs.load(run.save(tmp_path / "run.nc"))
        for ax, other in zip(draw(run).axes, draw(again).axes, strict=True):
            assert len(ax.get_lines()) == len(other.get_lines()) > 0
            for line, twin in zip(ax.get_lines(), other.get_lines(), strict=True):
                np.testing.assert_array_equal(line.get_xdata(), twin.get_xdata())
                np.testing.assert_array_equal(line.get_ydata(), twin.get_ydata())


def test_the_comparison_shows_three_runs_their_gaps_and_what_was_predicted(pair, lines):
    comparison = fs.compare(*pair)
    modified = comparison.modified
    figure = drawable(comparison_figure(comparison))
    direction, norm, sharpness, *gaps = figure.axes
    for ax, quantity in ((direction, "direction"), (norm, "norm")):
        value = VALUES[quantity]
        for line, run in zip(lines[0](ax), (comparison.flow, modified), strict=False):
            np.testing.assert_array_equal(line.get_ydata(), value(run))
            np.testing.assert_array_equal(line.get_xdata(), comparison.time)
        points = next(line for line in ax.get_lines() if line.get_marker() == "o")
        np.testing.assert_array_equal(points.get_xdata(), comparison.time)
        np.testing.assert_array_equal(points.get_ydata(), value(comparison.descent))
    np.testing.assert_array_equal(lines[0](sharpness)[0].get_ydata(), comparison.descent.sharpness)
    names = ("log_tan_half_angle", "norm", "risk")
    for ax, name in zip(gaps, names, strict=True):
        drawn = [line.get_ydata() for line in lines[0](ax)]
        assert len(drawn) == 2
        for values, gap in zip(drawn, (getattr(comparison, name), getattr(comparison, f"{name}_corrected")), strict=True):
            np.testing.assert_array_equal(values[1:], np.where(np.abs(gap) > 1e-13, np.abs(gap), np.nan)[1:])
            assert np.isnan(values[0])
        dashed = [line.get_ydata() for line in lines[1](ax)]
        assert len(dashed) == (0 if name == "risk" else 1)
        for values in dashed:
            np.testing.assert_array_equal(values[1:], np.abs(getattr(comparison, f"{name}_predicted"))[1:])
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
        assert ax.get_xlabel() == r"$\eta k$"
    assert all(ax.get_ylabel() for ax in figure.axes)
    # one colour means one run, above and below
    assert [line.get_color() for line in lines[0](direction)[:2]] == [line.get_color() for line in lines[0](gaps[0])]
    assert len({line.get_color() for line in lines[0](gaps[0])}) == 2
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["flow", "modified flow", r"descent, $\eta=0.1$", r"predicted gap $\eta\,e(t)$"]


def test_the_end_of_the_modified_flow_and_the_edge_of_stability_are_marked(gaussian, lines):
    descent = fs.gradient_descent(gaussian, fs.Start(1.0, 1.5), 0.1, 30_000, depth=5)
    comparison = fs.compare(fs.gradient_flow(gaussian, fs.Start(1.0, 1.5), descent.time, depth=5), descent)
    figure = drawable(comparison_figure(comparison))
    last = comparison.time[np.isfinite(comparison.norm_corrected)][-1]
    for ax in (*figure.axes[:2], *figure.axes[3:]):
        assert [line.get_xdata()[0] for line in ax.get_lines() if line.get_marker() == "x"] == [last]
    sharpness = figure.axes[2]
    assert [line.get_ydata()[0] for line in lines[1](sharpness)] == [2.0]
    crossing = next(line for line in sharpness.get_lines() if line.get_marker() == "o")
    assert crossing.get_xdata()[0] == comparison.crossing.time
    assert "its end" in figure.legends[0].get_texts()[1].get_text()
    # the levels shown are those of the run
    assert sharpness.get_ylim()[1] > max(2.0, np.nanmax(descent.sharpness))


@pytest.mark.parametrize("angle", [0.0, 1.5, np.pi])
def test_a_comparison_without_a_modified_flow_or_without_a_direction_can_be_drawn(gaussian, angle):
    start = fs.Start(1.0, angle)
    for descent in (fs.gradient_descent(gaussian, start, fs.Schedule([0.1] * 30), 30, 2), fs.gradient_descent(gaussian, start, 0.1, 30, 2)):
        figure = drawable(comparison_figure(fs.compare(fs.gradient_flow(gaussian, start, descent.time, 2), descent)))
        assert len(figure.legends[0].get_texts()) == (2 if descent.step_size is None else 4)


def test_a_direction_that_changes_sign_stays_on_the_axis(pair):
    ax = plot_path(pair[1], "direction")
    assert ax.get_yscale() == "asinh"
    assert ax.get_ylim()[0] < -pair[1].log_tan_half_angle[0] < ax.get_ylim()[1]
    drawable(ax.figure)


def test_label_noise_draws_the_limits_instead(lines):
    noisy = fs.PopulationRisk(fs.Gaussian(dim=2), label_noise=0.1)
    run = fs.gradient_flow(noisy, fs.Start(), fs.log_times(1e-2, 1e3, 40), solver="dop853")
    law = fs.theory.noisy_rates(noisy, 1)
    _, norm, risk = drawable(trajectory_figure(run)).axes
    np.testing.assert_array_equal(lines[1](norm)[0].get_ydata(), law.norm_limit)
    np.testing.assert_array_equal(lines[1](risk)[0].get_ydata(), law.risk_limit)
    assert run.norm[-1] == pytest.approx(law.norm_limit, rel=1e-6)


def test_a_ray_says_so_in_the_place_of_a_direction(gaussian):
    rays = fs.gradient_flow(gaussian, fs.Start(1.0, [0.0, np.pi]), fs.log_times(1e-2, 1e2, 20), depth=3, solver="dop853")
    direction, norm, _ = drawable(trajectory_figure(rays)).axes
    assert "theta=0" in direction.texts[0].get_text()
    assert "theta=\\pi" in direction.texts[0].get_text()
    np.testing.assert_array_equal(norm.get_lines()[1].get_ydata(), rays[1].norm)


def test_a_failed_run_is_drawn_as_far_as_it_got_and_named(gaussian, lines):
    run = fs.gradient_descent(gaussian, fs.Start(1.0, 3.0), 100.0, 1000, depth=3)
    assert run.status == "overflow"
    figure = drawable(trajectory_figure(run))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["$N=3$ (overflow)"]
    assert not any(lines[1](ax) for ax in figure.axes)
    with pytest.raises(RuntimeError, match="no rate"):
        plot_exponent(run)


def test_a_single_record_is_a_point(gaussian):
    figure = drawable(trajectory_figure(fs.gradient_flow(gaussian, fs.Start(), 0.0, solver="dop853")))
    assert [ax.get_lines()[0].get_marker() for ax in figure.axes] == ["o"] * 3


def test_runs_are_told_apart_by_what_differs(gaussian):
    risks = [gaussian, fs.PopulationRisk(fs.Radial(3, scipy.stats.gamma(3.0)))]
    times = fs.log_times(1e-2, 1e2, 12)
    names = lambda runs: [line.get_label() for line in plot_path(runs, theory=False, legend=False).get_lines()]  # noqa: E731
    assert names(fs.gradient_flow(risks, fs.Start(), times, solver="dop853")) == ["Gaussian(dim=2, scale=1)", "Radial(dim=3, gamma(3))"]
    assert names(fs.gradient_descent(gaussian, fs.Start(), [0.1, 0.25], 10)) == [r"$\eta=0.1$", r"$\eta=0.25$"]
    starts = fs.gradient_flow(gaussian, fs.Start([1.0, 2.0], 1.0), np.linspace(0.0, 1.0, 5), solver="dop853")
    assert names(starts) == [r"$|w|=1$, $\theta=1$", r"$|w|=2$, $\theta=1$"]
    flow, descent = fs.gradient_flow(gaussian, fs.Start(), times, solver="dop853"), fs.gradient_descent(gaussian, fs.Start(), 0.1, 10)
    assert names([flow, descent]) == ["flow", r"descent, $\eta=0.1$"]
    changed = fs.modified_flow(gaussian, fs.Start(), times, 0.1)
    assert names([flow, changed]) == ["flow", r"modified flow, $\eta=0.1$"]


def test_many_runs_share_a_colour_map_and_a_short_legend(gaussian):
    runs = fs.gradient_descent(gaussian, fs.Start(), np.geomspace(0.01, 0.1, 30), 50)
    ax = plot_path(runs, theory=False)
    assert len({str(line.get_color()) for line in ax.get_lines()}) == 30
    assert len(ax.get_legend().get_texts()) == 8


def test_bad_input_is_refused_by_name(flows):
    with pytest.raises(ValueError, match="`quantity` must be one of direction, norm, risk, but is 'nrm'; did you mean 'norm'"):
        plot_path(flows, "nrm")
    with pytest.raises(ValueError, match="`runs` must be a Trajectory"):
        plot_path([1.0])
    with pytest.raises(ValueError, match="`runs` must hold at least one run"):
        trajectory_figure([])
