"""Coordinates in which theory is a straight line: runs drawn in them, and the line that theory says."""

import numpy as np
import pytest
import scipy.stats

import flowsim as fs
from flowsim.present import plot_straightened, straight_figure

DEPTHS = (1, 2, 3, 5)
K = np.sqrt(2 / np.pi) * np.pi**2 / 12
"""f(0) pi^2/12 of the Gaussian law in one coordinate."""


def slope(quantity, n):
    """Constants of the late flow, from their formulas."""
    late = ((n + 2) * K) ** (n / (n + 2))
    direction = 0.5 * np.sqrt(2 / np.pi) * (n + 2) / (2 * n) * ((n + 2) * K) ** ((n - 2) / (n + 2))
    return {"direction": direction, "norm": late, "risk": late / K}[quantity]


def power(quantity, n):
    return {"direction": 2 * n / (n + 2), "norm": n / (n + 2), "risk": n / (n + 2)}[quantity]


VALUES = {"direction": lambda run: -run.log_tan_half_angle, "norm": lambda run: run.norm, "risk": lambda run: 1.0 / run.risk}


@pytest.mark.parametrize("quantity", VALUES)
def test_each_depth_has_its_own_power_and_the_slope_of_theory(flows, lines, quantity):
    ax = plot_straightened(flows, quantity)
    solid, dashed = (draw(ax) for draw in (lines[0], lines[1]))
    assert len(solid) == len(dashed) == 4
    last = flows.time[-1]
    for line, theory, n, run in zip(solid, dashed, DEPTHS, (flows[i] for i in range(4)), strict=True):
        p = power(quantity, n)
        np.testing.assert_allclose(line.get_xdata(), (flows.time / last) ** p, rtol=1e-13)
        np.testing.assert_allclose(line.get_ydata(), VALUES[quantity](run) / last**p, rtol=1e-13)
        np.testing.assert_allclose(theory.get_xdata(), [0.0, 1.0])
        np.testing.assert_allclose(theory.get_ydata(), [0.0, slope(quantity, n)], rtol=1e-12)
        # t = 1e12 is late
        assert line.get_ydata()[-1] == pytest.approx(theory.get_ydata()[-1], rel=1e-3)
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "linear")
    formula = {"direction": "2N/(N+2)", "norm": "N/(N+2)", "risk": "N/(N+2)"}[quantity]
    assert formula in ax.get_xlabel()
    assert formula in ax.get_ylabel()
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["$N=1$", "$N=2$", "$N=3$", "$N=5$", "leading order of the flow"]
    assert not lines[1](plot_straightened(flows, quantity, theory=False))


def test_one_power_is_an_axis_of_its_own(flows, lines):
    for n, label in ((0, "$t^{2/3}$"), (1, "$t$"), (3, "$t^{10/7}$")):
        ax = plot_straightened(flows[n])
        assert ax.get_xlabel() == label
        line, theory = lines[0](ax)[0], lines[1](ax)[0]
        p = power("direction", DEPTHS[n])
        np.testing.assert_allclose(line.get_xdata(), flows.time**p, rtol=1e-13)
        np.testing.assert_array_equal(line.get_ydata(), -flows[n].log_tan_half_angle)
        assert theory.get_ydata()[-1] / theory.get_xdata()[-1] == pytest.approx(slope("direction", DEPTHS[n]), rel=1e-12)
    assert plot_straightened(flows[0], "risk").get_ylabel() == "$1/L(w)$"


def test_a_descent_counts_eta_k(gaussian):
    run = fs.gradient_descent(gaussian, fs.Start(), 0.1, 100)
    assert plot_straightened(run).get_xlabel() == r"$(\eta k)^{2/3}$"
    assert plot_straightened([run, fs.gradient_flow(gaussian, fs.Start(), [1.0, 10.0])]).get_xlabel() == "$t^{2/3}$"


def test_label_noise_leaves_the_direction_a_line_in_t(lines):
    noisy = fs.PopulationRisk(fs.Gaussian(dim=2), label_noise=0.1)
    run = fs.gradient_flow(noisy, fs.Start(), np.linspace(0.0, 1e3, 20), depth=3)
    ax = plot_straightened(run)
    line, theory = lines[0](ax)[0], lines[1](ax)[0]
    assert ax.get_xlabel() == "$t$"
    ends = np.diff(line.get_ydata()[-2:]) / np.diff(line.get_xdata()[-2:])
    assert theory.get_ydata()[-1] / theory.get_xdata()[-1] == pytest.approx(ends[0], rel=1e-6)
    with pytest.raises(ValueError, match="`quantity` must be direction for a run with label noise, whose norm has a limit, but is 'norm'"):
        plot_straightened(run, "norm")


def test_a_singular_law_has_powers_of_its_own():
    """|x_1| near 0 like u^(-1/2): no formula in N alone stands on the axis."""
    risk = fs.PopulationRisk(fs.Radial(3, scipy.stats.gamma(0.5)))
    law = fs.theory.rates(risk, 3)
    runs = fs.gradient_flow(risk, fs.Start(), [1e3, 1e6], depth=[1, 3])
    assert law.tail.exponent != 1.0
    assert plot_straightened(runs).get_xlabel() == r"$(t\,/\,t_\mathrm{last})^{p}$"


def test_a_run_without_a_power_is_refused(gaussian, risk_of):
    times = [1.0, 10.0]
    with pytest.raises(ValueError, match=r"must have a power of time to be straightened by, but the one of Gaussian.* starts on a ray"):
        plot_straightened(fs.gradient_flow(gaussian, fs.Start(1.0, [1.0, np.pi]), times, depth=2))
    with pytest.raises(ValueError, match="`runs` must have a record after t = 0"):
        plot_straightened(fs.gradient_flow(gaussian, fs.Start(), 0.0))
    with pytest.raises(RuntimeError, match="no rate"):
        plot_straightened(fs.gradient_descent(gaussian, fs.Start(1.0, 3.0), 100.0, 1000, depth=3))
    with pytest.raises(ValueError, match="`quantity` must be one of direction, norm, risk, but is 'angle'"):
        plot_straightened(fs.gradient_flow(gaussian, fs.Start(), times), "angle")


def test_the_figure_shows_all_three(flows, lines):
    figure = straight_figure(flows)
    figure.draw_without_rendering()
    assert [ax.get_ylabel().split(r"\;")[0] for ax in figure.axes] == ["$-s", "$|w|", "$1/L(w)"]
    assert all(len(lines[0](ax)) == 4 for ax in figure.axes)
