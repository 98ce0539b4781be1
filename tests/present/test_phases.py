"""The norm's two phases, and the bounds around the direction."""

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

import flowsim as fs
from flowsim.present import bounds_figure, plot_bounds, plot_two_phases, two_phases_figure
from flowsim.present.phases import PRINTED, PROMISES

START = fs.Start(1.0, 2.5)
S0 = np.log(np.tan(1.25))
C = np.sqrt(2 / np.pi) / 2
C0 = np.pi * C


@pytest.fixture(scope="module")
def turning(gaussian):
    """Flows of depths 1, 2 and 4 whose norm falls first, on linear times."""
    return fs.gradient_flow(gaussian, START, np.linspace(0.0, 40.0, 161), depth=[1, 2, 4])


@pytest.fixture(scope="module")
def late(gaussian):
    """The same on times spaced in log t."""
    return fs.gradient_flow(gaussian, START, fs.log_times(1e-2, 1e6, 81), depth=[1, 2, 4])


def named(ax, name):
    return next(line for line in ax.get_lines() if line.get_label() == name)


def told(title):
    """T and r(T) out of "$T=1.907$, $r(T)=0.3981$"."""
    return [float(part.strip("$ ,").split("=")[1]) for part in title.split("$, $")]


@pytest.mark.parametrize("index", range(3))
def test_the_phases_meet_where_the_growth_balances_the_pull(turning, lines, gaussian, index):
    run = turning[index]
    ax = plot_two_phases(run)
    falling, rising = named(ax, "falling to $T$"), named(ax, "rising from $T$")
    assert falling.get_color() != rising.get_color()
    turn, least = rising.get_xdata()[0], rising.get_ydata()[0]
    assert (falling.get_xdata()[-1], falling.get_ydata()[-1]) == (turn, least)
    assert told(ax.get_title()) == pytest.approx([turn, least], rel=1e-3)
    # r' = 0 there, the state taken from another solver: h(r) = c (1 - cos theta)
    there = fs.gradient_flow(gaussian, START, [float(turn)], depth=int(run.depth), solver="dop853", rtol=1e-12)
    assert least == pytest.approx(float(there.norm[0]), rel=1e-8)
    assert float(gaussian.growth(there.norm)[0]) == pytest.approx(C * float(there.one_minus_cos[0]), rel=1e-6)
    assert (np.diff(falling.get_ydata()) < 0).all()
    assert (np.diff(rising.get_ydata()) > 0).all()
    for of, values in ((lambda line: line.get_xdata(), run.time), (lambda line: line.get_ydata(), run.norm)):
        np.testing.assert_array_equal([*of(falling)[:-1], *of(rising)[1:]], values)
    assert [line.get_xdata()[0] for line in ax.get_lines() if line.get_linestyle() == ":"] == [turn]
    assert ax.texts[0].get_text() == "$T$"


def test_the_bounds_on_the_norm_are_those_of_the_lemmas(turning, lines):
    time = turning.time
    (ceiling,) = lines[1](plot_two_phases(turning[0]))
    np.testing.assert_allclose(ceiling.get_ydata(), np.sqrt(1.0 + 2 * 0.27846454276107 * time), rtol=1e-12)
    assert not lines[1](plot_two_phases(turning[1]))
    floor, ceiling = lines[1](plot_two_phases(turning[2]))
    np.testing.assert_allclose(ceiling.get_ydata(), (1.0 + 0.6 * time) ** 2, rtol=1e-12)
    # the floor with the derived constant 2 c in the place of c0
    np.testing.assert_allclose(floor.get_ydata(), (1.0 + 2 * 2 * C * time) ** -2.0, rtol=1e-12)
    assert (floor.get_ydata() <= turning[2].norm * (1 + 1e-9)).all()
    assert (ceiling.get_ydata() >= turning[2].norm * (1 - 1e-9)).all()
    assert not lines[1](plot_two_phases(turning[2], theory=False))


def test_times_in_decades_are_shown_around_the_turning_point(late):
    ax = plot_two_phases(late[0])
    turn = told(ax.get_title())[0]
    assert ax.get_xscale() == "log"
    assert ax.get_xlim() == pytest.approx([turn / 100, turn * 100], rel=1e-3)
    # the falling norm fills the panel: its least value is near the lower edge
    low, high = ax.get_ylim()
    assert low > 0.5 * late[0].norm.min()
    assert high < 100


def test_a_norm_that_grows_from_the_start_says_t_0(gaussian):
    run = fs.gradient_flow(gaussian, fs.Start(0.1, 0.5), np.linspace(0.0, 10.0, 21), depth=3)
    ax = plot_two_phases(run)
    assert ax.get_title() == "$T=0$: the norm grows from the start"
    np.testing.assert_array_equal(named(ax, "rising").get_ydata(), run.norm)
    assert not [line for line in ax.get_lines() if line.get_linestyle() == ":"]


def test_records_that_stop_before_the_turning_point_or_begin_after_it(gaussian):
    before = fs.gradient_flow(gaussian, START, np.linspace(0.0, 1.0, 11))
    ax = plot_two_phases(before)
    np.testing.assert_array_equal(named(ax, "falling to $T$").get_ydata(), before.norm)
    assert told(ax.get_title())[0] == pytest.approx(1.907, abs=1e-3)
    after = fs.gradient_flow(gaussian, START, np.linspace(10.0, 20.0, 11))
    ax = plot_two_phases(after)
    np.testing.assert_array_equal(named(ax, "rising from $T$").get_ydata(), after.norm)


@pytest.mark.parametrize("depth", [2, 3])
def test_on_the_ray_opposite_to_v_the_norm_falls_for_good(gaussian, depth, lines):
    """Also where it underflows: the speed of a norm of exactly 0 is no sign of a turn."""
    run = fs.gradient_flow(gaussian, fs.Start(1.0, np.pi), np.linspace(0.0, 2000.0, 21), depth=depth)
    ax = plot_two_phases(run)
    assert ax.get_title() == "the norm falls at all times"
    assert not lines[1](ax)
    ax.figure.draw_without_rendering()


def test_a_turn_too_late_to_be_found_is_not_called_none(gaussian):
    """N = 5 from 1e-14 off the ray: T is about (2e14)^3/(3 c), later than what is searched."""
    run = fs.gradient_flow(gaussian, fs.Start(1.0, np.pi - 1e-14), np.linspace(0.0, 10.0, 11), depth=5)
    assert plot_two_phases(run).get_title() == "$T$ is too late to be found"
    with pytest.raises(ValueError, match="`run` must have a norm that stops falling, but the time T at which it does is too late"):
        plot_bounds(run)


def test_one_layer_passes_the_origin_and_the_ray_of_v_only_rises(gaussian):
    run = fs.gradient_flow(gaussian, fs.Start(1.0, np.pi), np.linspace(0.0, 10.0, 21))
    assert told(plot_two_phases(run).get_title())[0] == pytest.approx(1.982198, abs=1e-3)
    run = fs.gradient_flow(gaussian, fs.Start(1.0, 0.0), np.linspace(0.0, 10.0, 21), depth=3)
    assert plot_two_phases(run).get_title().startswith("$T=0$")


def first_phase(run, alpha):
    return alpha * np.log1p(2 * C0 * run.time) - 2 * S0


def test_theorem_5_is_drawn_from_below_and_above(turning, lines, gaussian):
    run = turning[2]
    ax = plot_bounds(run)
    np.testing.assert_array_equal(named(ax, "flow").get_ydata(), -2 * run.log_tan_half_angle)
    lower, upper = lines[1](ax)
    time = lower.get_xdata()
    turn = told(plot_two_phases(run).get_title())
    early, later = time < turn[0] * (1 - 1e-3), time > turn[0] * (1 + 1e-3)
    # N = 4: alpha = 2/(2 pi), A1 = 2 c0, B1 = 1
    np.testing.assert_allclose(lower.get_ydata()[early], np.log1p(2 * C0 * time[early]) / np.pi - 2 * S0, rtol=1e-11)
    there = fs.gradient_flow(gaussian, START, [turn[0]], depth=4)
    second = 2 * C0 / np.pi * turn[1] ** 0.5 * (time - turn[0]) - 2 * there.log_tan_half_angle[0]
    np.testing.assert_allclose(lower.get_ydata()[later], second[later], rtol=2e-3, atol=2e-3)
    # F = 4 c0/(0.6 N pi), D = 1
    np.testing.assert_allclose(upper.get_ydata(), 4 * C0 / (2.4 * np.pi) * ((0.6 * time + 1) ** 2 - 1) - 2 * S0, rtol=1e-10, atol=1e-10)
    flow = np.interp(time, run.time, -2 * run.log_tan_half_angle)
    assert (lower.get_ydata() <= flow + 1e-2).all()
    assert (upper.get_ydata() >= flow - 1e-2).all()
    assert ax.get_title() == "$N=4$: Theorem 5"


def test_theorem_1_and_the_exact_law_of_two_layers(turning, lines):
    (bound,) = lines[1](plot_bounds(turning[0]))
    turn = told(plot_two_phases(turning[0]).get_title())[0]
    early = bound.get_xdata() < turn * (1 - 1e-3)
    np.testing.assert_allclose(bound.get_ydata()[early], 2 * C * bound.get_xdata()[early] - 2 * S0, rtol=1e-12)
    assert (bound.get_ydata() <= np.interp(bound.get_xdata(), turning.time, -2 * turning[0].log_tan_half_angle) + 1e-2).all()
    ax = plot_bounds(turning[1])
    (law,) = lines[1](ax)
    np.testing.assert_allclose(law.get_ydata(), -2 * (S0 - C * law.get_xdata()), rtol=1e-12)
    assert ax.get_title() == "$N=2$: exact law $s(0)-ct$"


def test_printed_constants_have_a_dash_of_their_own(turning, lines):
    ax = plot_bounds(turning[2], variant="both")
    derived, printed = named(ax, "theory"), named(ax, "theory, as printed")
    assert PRINTED["linestyle"] not in [look["linestyle"] for look in PROMISES]
    assert derived.get_color() != printed.get_color()
    assert derived.get_linestyle() == printed.get_linestyle() == "--"
    early = printed.get_xdata() < 7.5
    np.testing.assert_allclose(printed.get_ydata()[early], 2 * C * np.log1p(2 * C0 * printed.get_xdata()[early]) - 2 * S0, rtol=1e-11)
    alone = plot_bounds(turning[2], variant="as_printed")
    assert "theory, as printed" in [line.get_label() for line in alone.get_lines()]
    # Theorem 1 read under the root overtakes the flow
    false = named(plot_bounds(turning[0], variant="as_printed"), "theory, as printed")
    assert (false.get_ydata() > np.interp(false.get_xdata(), turning.time, -2 * turning[0].log_tan_half_angle)).any()


def test_bounds_start_anew_where_asked(turning, gaussian):
    ax = plot_bounds(turning[2], restarts=[20.1])
    begun = [line for line in ax.get_lines() if "from $t=20.1$" in line.get_label()]
    assert len(begun) == 2
    there = fs.gradient_flow(gaussian, START, [20.1], depth=4)
    for line in begun:
        assert line.get_xdata()[0] == 20.1
        assert line.get_ydata()[0] == pytest.approx(-2 * float(there.log_tan_half_angle[0]), rel=1e-8)
    lower, upper = begun
    later = 2 * C * float(there.norm[0]) ** 0.5 * (lower.get_xdata() - 20.1)
    np.testing.assert_allclose(lower.get_ydata() - lower.get_ydata()[0], later, rtol=1e-8, atol=1e-9)
    assert (upper.get_ydata() >= lower.get_ydata()).all()


def test_the_angle_is_the_same_bound_the_other_way_up(turning, lines):
    exponents, angles = plot_bounds(turning[2]), plot_bounds(turning[2], "angle")
    np.testing.assert_array_equal(named(angles, "flow").get_ydata(), turning[2].angle)
    for line, other in zip(lines[1](exponents), lines[1](angles), strict=True):
        np.testing.assert_allclose(other.get_ydata(), 2 * np.arctan(np.exp(-line.get_ydata() / 2)), rtol=1e-10, atol=1e-300)
    assert angles.get_yscale() == "log"


def test_an_angle_too_small_for_a_double_ends_its_line(late, lines):
    ax = plot_bounds(late[2], "angle")
    drawn = named(ax, "flow").get_ydata()
    assert np.isnan(drawn[-1])
    assert ax.get_yscale() == "log"
    np.testing.assert_array_equal(drawn[:40], late[2].angle[:40])
    ax.figure.draw_without_rendering()


def test_late_times_are_drawn_without_saturation(late):
    ax = plot_bounds(late[2])
    ax.figure.draw_without_rendering()
    assert ax.get_yscale() == "asinh"
    assert named(ax, "flow").get_ydata()[-1] > 1e7
    assert ax.get_ylim()[1] > 1e7


def test_runs_that_the_paper_does_not_speak_of_are_refused(gaussian, turning):
    times = np.linspace(0.0, 1.0, 5)
    noisy = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2), 0.1), START, times)
    for plot in (plot_two_phases, plot_bounds):
        with pytest.raises(ValueError, match=r"`run` must be a single run, but is a batch of shape \(3,\); index it first"):
            plot(turning)
        with pytest.raises(ValueError, match="`run` must be a gradient flow, but is a descent"):
            plot(fs.gradient_descent(gaussian, START, 0.1, 10))
        with pytest.raises(ValueError, match="`run` must be a gradient flow, but is a modified flow"):
            plot(dataclasses.replace(turning[0], config={**turning[0].config, "function": "modified_flow"}))
        with pytest.raises(ValueError, match=r"`run` must be free of label noise for the paper's bounds, but has 0\.1"):
            plot(noisy)
        with pytest.raises(ValueError, match="`run` must be a Trajectory, but is 3"):
            plot(3)
    ray = fs.gradient_flow(gaussian, fs.Start(1.0, [0.0, np.pi]), times, depth=3)
    for index in range(2):
        with pytest.raises(ValueError, match="`run` must start off the rays theta = 0 and theta = pi"):
            plot_bounds(ray[index])
    with pytest.raises(ValueError, match=r"`variant` must be 'as_derived' for two layers, .* but is 'both'"):
        plot_bounds(turning[1], variant="both")
    with pytest.raises(ValueError, match="`variant` must be one of as_derived, as_printed, both, but is 'printed'"):
        plot_bounds(turning[0], variant="printed")
    with pytest.raises(ValueError, match="`quantity` must be one of exponent, angle, but is 'norm'"):
        plot_bounds(turning[0], "norm")
    with pytest.raises(ValueError, match=r"`restarts` must be in \[0, 40\], but is 50"):
        plot_bounds(turning[0], restarts=[50.0])
    for figure in (two_phases_figure, bounds_figure):
        with pytest.raises(ValueError, match="`flows` must be one to three runs, but are 6"):
            figure([turning, turning])


def test_a_flow_that_did_not_arrive_is_drawn_as_far_as_it_got(late):
    def stopped(reached):
        gone = np.arange(late.time.size) >= reached
        lost = {name: np.where(gone, np.nan, getattr(late[2], name)) for name in ("log_norm", "log_tan_half_angle")}
        return dataclasses.replace(late[2], status=np.asarray("step_cap"), **lost)

    ax = plot_bounds(stopped(30))
    np.testing.assert_array_equal(named(ax, "flow").get_ydata(), -2 * late[2].log_tan_half_angle[:30])
    assert plot_two_phases(stopped(30)).get_title() == plot_two_phases(late[2]).get_title()
    ax.figure.draw_without_rendering()
    with pytest.raises(ValueError, match="`run` must have reached a record, but has none: all steps"):
        plot_bounds(stopped(0))


def test_the_axes_given_are_drawn_into(turning):
    axes = Figure().subplots(2)
    assert plot_two_phases(turning[0], ax=axes[0]) is axes[0]
    assert plot_bounds(turning[0], ax=axes[1]) is axes[1]


@pytest.mark.parametrize("draw", [two_phases_figure, bounds_figure])
def test_up_to_three_runs_share_a_figure_and_a_legend(turning, draw):
    figure = draw(turning)
    figure.draw_without_rendering()
    assert len(figure.axes) == 3
    for ax, n in zip(figure.axes, (1, 2, 4), strict=True):
        assert ax.get_title().startswith(f"$N={n}$")
        assert ax.get_legend() is None
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(names) == len(set(names)) >= 2
