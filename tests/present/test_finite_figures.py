"""Figures of runs on finite data: what is drawn is the runs' and theory's own, and what does not belong together is refused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.special import expit

import flowsim as fs
from flowsim.finite import deep_linear, homogeneous_descent, homogeneous_flow, leaky_relu_network, log_log_times, mixture
from flowsim.present import finite_figure, margin_crossover_figure, margin_crossover_runs, margin_crossover_times
from flowsim.samples import max_margin
from flowsim.theory.margin_law import WHOLE, margin_felt, scaled_growth, scaled_log_time, scaled_risk

TIMES = log_log_times(1e3, count=36)
# small, and from a margin that is felt at once to one that the population's flow is left at
SMALL = {"margins": [0.1, 0.3], "samples": 10, "seeds": 2, "last": 200.0, "count": 50, "solver": "dopri8"}


def lines(ax, name):
    return [line for line in ax.get_lines() if line.get_label() == name]


@pytest.fixture(scope="module")
def data():
    return mixture(12, dim=3, signal=1.5, seed=2)


@pytest.fixture(scope="module")
def linear(data):
    network = deep_linear(3)
    return homogeneous_flow(network, data, network.start(0), TIMES, rtol=1e-8)


@pytest.fixture(scope="module")
def deep(data):
    network = deep_linear(3, depth=2, width=3)
    return homogeneous_flow(network, data, network.start(0), TIMES, rtol=1e-8)


@pytest.fixture(scope="module")
def figure(linear, deep, data):
    figure = finite_figure([linear, deep], data)
    figure.draw_without_rendering()
    return figure


def test_each_panel_holds_what_it_says(linear, deep, figure):
    path, gap, slack, margin = figure.axes
    shown = TIMES > 0.3
    for run, name in ((linear, "linear"), (deep, "linear, 2 layers")):
        left = run.path_length[-1] + run.path_tail().left - run.path_length
        for ax, values in ((path, left), (gap, run.alignment_gap), (slack, run.slackness)):
            (line,) = lines(ax, name)
            np.testing.assert_array_equal(line.get_xdata(), TIMES[shown])
            np.testing.assert_array_equal(line.get_ydata(), values[shown])
        (line,) = lines(margin, name)
        np.testing.assert_allclose(line.get_ydata(), run.normalised_margin[shown] / run.normalised_margin[-1], rtol=1e-14)
    dotted = [line.get_ydata() for line in lines(margin, "_smoothed")]
    for values, run in zip(dotted, (linear, deep), strict=True):
        np.testing.assert_allclose(values, run.smoothed_margin[shown] / run.normalised_margin[-1], rtol=1e-14)
    assert all(ax.get_xscale() == "log" for ax in figure.axes)


def test_circles_are_angles_to_the_separator(linear, data, figure):
    circles = lines(figure.axes[0], "_separator")[0]
    u = max_margin(data).direction
    for log_t, angle in zip(circles.get_xdata(), circles.get_ydata(), strict=True):
        w = linear.predictor[int(np.flatnonzero(log_t == TIMES)[0])]
        # sin of small angles, from the part across; the angle itself where it is not small
        assert 2.0 * np.sin(angle / 2.0) == pytest.approx(np.linalg.norm(w - u), rel=1e-9)
    # with the path of a single vector straight in the end, they lie on its line
    left = linear.path_length[-1] + linear.path_tail().left - linear.path_length
    assert circles.get_ydata()[-1] == pytest.approx(np.interp(circles.get_xdata()[-1], TIMES, left), rel=0.05)


def test_dashed_lines_are_the_powers_and_the_runs_follow_them(linear, deep, figure):
    path, gap, slack, _ = figure.axes
    for ax, powers in ((path, [-1.0, -0.5]), (gap, [-2.0, -1.0]), (slack, [-1.0])):
        dashed = lines(ax, "_theory")
        found = [float(np.polyfit(np.log(line.get_xdata()), np.log(line.get_ydata()), 1)[0]) for line in dashed]
        assert sorted(found) == pytest.approx(sorted(powers), rel=1e-9)
    # what is drawn as theory is not far from what was measured, over the last factor 3 of log t
    for run, power in ((linear, -2.0), (deep, -1.0)):
        k = int(np.searchsorted(TIMES, TIMES[-1] / 3.0))
        measured = np.log(run.alignment_gap[-1] / run.alignment_gap[k]) / np.log(TIMES[-1] / TIMES[k])
        assert measured == pytest.approx(power, rel=0.05)


def test_a_run_that_holds_its_separator_needs_no_data(linear, data):
    told = replace(linear, config={**linear.config, "max_margin": max_margin(data).direction.tolist()})
    (one,), (other,) = (lines(finite_figure(*given).axes[0], "_separator") for given in ((told,), (linear, data)))
    np.testing.assert_array_equal(one.get_ydata(), other.get_ydata())
    assert not lines(finite_figure(linear).axes[0], "_separator")


def test_networks_without_a_known_power_have_none(data):
    # by descent, whose steps say what it is called
    network = leaky_relu_network(3, [4])
    run = homogeneous_descent(network, data, network.start(0), 0.1, np.arange(0, 2000, 50), normalised=True)
    figure = finite_figure([run, replace(run, status="stopped")])
    path, gap, slack, _ = figure.axes
    assert not lines(path, "_theory")
    assert not lines(gap, "_theory")
    assert len(lines(slack, "_theory")) == 1
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert said[:2] == ["leaky ReLU 0.1, 2 layers, run 1", "leaky ReLU 0.1, 2 layers, run 2 (stopped)"]


def test_what_cannot_be_drawn_is_refused(linear, data):
    with pytest.raises(ValueError, match="`runs` must be a HomogeneousRun or a sequence of them, but holds 3"):
        finite_figure([3])
    with pytest.raises(ValueError, match="`runs` must hold at least one run"):
        finite_figure([])
    with pytest.raises(ValueError, match="`names` must be 1, one for each run, but are 2"):
        finite_figure(linear, names=["a", "b"])
    with pytest.raises(ValueError, match=r"`data` must be what the run was on, gaussian mixture\(signal=1\.5\), but are others"):
        finite_figure(linear, mixture(12, dim=3, signal=1.5, seed=3))
    with pytest.raises(ValueError, match="`page` must be 'neurips' or 'icml-double' for finite_figure"):
        finite_figure(linear, page="icml-single")
    short = replace(linear, log_norm=np.full(TIMES.size, np.nan), status="overflow")
    with pytest.raises(ValueError, match=r"two records or more beyond log t = 0\.3"):
        finite_figure(short)


# the law of a margin, and runs that cross over


def test_growth_and_risk_are_their_integrals():
    for z in (0.0, 0.5, 4.9, 5.1, 30.0):
        risk = quad(lambda u, z=z: np.log1p(np.exp(-u)) * np.exp(z), z, z + 60.0, epsrel=1e-13)[0]
        growth = quad(lambda u, z=z: u * np.exp(z - u) / (1.0 + np.exp(-u)), z, z + 60.0, epsrel=1e-13)[0]
        assert float(scaled_risk(z)) == pytest.approx(risk, rel=1e-10)
        assert float(scaled_growth(z)) == pytest.approx(growth, rel=1e-10)


@pytest.mark.parametrize("depth", [1, 3])
def test_the_norm_of_a_law_with_a_margin_follows_the_curve(depth):
    """Against r' = N r^(2-2/N) h(r) with h of the Gaussian law beyond kappa by quadrature; what differs is of order kappa."""
    kappa, f0 = 1e-3, np.sqrt(2.0 / np.pi)
    x, weight = np.polynomial.legendre.leggauss(200)

    def growth(r):
        # x in [kappa, kappa + 60/r], where all of the integral is
        u = kappa + 30.0 / r * (x + 1.0)
        return 30.0 / r * np.sum(weight * f0 * np.exp(-0.5 * u**2) * u * expit(-r * u))

    def speed(log_r, _):
        r = np.exp(log_r)
        return [r / (depth * r ** (2.0 - 2.0 / depth) * growth(r))]

    norms = np.array([0.03, 0.3, 1.0, 3.0, 10.0])
    begin = 1e-2 / kappa
    # up to there it is the population's power
    t0 = begin ** (1.0 + 2.0 / depth) / ((depth + 2.0) * f0 * WHOLE)
    run = solve_ivp(speed, np.log([begin, norms[-1] / kappa]), [t0], t_eval=np.log(norms / kappa), rtol=1e-9, atol=0.0)
    expected = scaled_log_time(norms, depth)
    np.testing.assert_allclose(np.log(f0 * run.y[0]) + (1.0 + 2.0 / depth) * np.log(kappa), expected, atol=0.01)
    felt = margin_felt(depth)
    assert float(scaled_log_time(felt.norm, depth)[0]) == pytest.approx(np.log(felt.time), rel=1e-12)
    free = ((depth + 2.0) * WHOLE * felt.time) ** (depth / (depth + 2.0))
    assert float(scaled_risk(felt.norm)) * np.exp(-felt.norm) / felt.norm == pytest.approx(0.5 * WHOLE / free, rel=1e-9)


@pytest.fixture(scope="module")
def made():
    return margin_crossover_runs(**SMALL)


def test_samples_are_beyond_the_margin_and_follow_the_population_first(made):
    flow, runs = made
    assert [(one.margin, one.data.size, one.data.seed) for one in runs] == [(0.3, 34, 0), (0.3, 34, 1), (0.1, 100, 0), (0.1, 100, 1)]
    for one in runs:
        assert one.data.margin >= one.margin
        assert one.separator.margin >= one.data.margin
        assert one.norm[0] == pytest.approx(np.linalg.norm(one.run.predictor[0]) * np.exp(one.run.log_norm[0]), rel=1e-12)
        # t = 1: what n samples make of it is a few times 1/sqrt(n)
        assert one.run.angle_to(one.data.v)[0] == pytest.approx(float(flow.angle[0]), abs=3.0 / np.sqrt(one.data.size))


def test_in_the_end_the_angle_to_the_separator_is_what_the_multipliers_say(made):
    for one in made[1]:
        if one.separator.support.size == 2:
            p, q = one.data.points[one.separator.support]
            by_hand = abs(np.log(one.separator.weights[0] / one.separator.weights[1])) / np.linalg.norm(p - q)
            assert one.residual == pytest.approx(by_hand, rel=1e-9)
            # the next order is 1/log t smaller, but for a logarithm
            assert one.run.angle_to(one.separator.direction)[-1] * one.norm[-1] == pytest.approx(one.residual, rel=0.1)
    assert any(one.separator.support.size == 2 for one in made[1])


def test_layers_share_the_norm_of_the_predictor(made):
    for depth in (1, 2, 3):
        layers = fs.layers.balanced([3.0, 4.0], depth, 1).matrices
        size = np.sqrt(sum(float(np.sum(w**2)) for w in layers))
        one = made[1][0]
        assert one._replace(run=replace(one.run, order=float(depth), log_norm=np.log([size]))).norm == pytest.approx(5.0, rel=1e-12)


def test_crossovers_are_where_the_risk_is_half_the_populations(made):
    flow, runs = made
    times = margin_crossover_times(*made)
    np.testing.assert_array_equal(times.margins, [0.3, 0.1])
    for one, log_t in zip(runs, times.times.ravel(), strict=True):
        log_times = one.run.log_time[: flow.time.size]
        ratio = np.interp(log_t, log_times, one.run.log_loss[: flow.time.size] - np.log(flow.risk))
        assert ratio == pytest.approx(-np.log(2.0), abs=0.03)
    # 34 and 100 samples: within 1.5 in log t of the law of infinitely many, which grows by 3.3
    np.testing.assert_allclose(times.times, np.tile(times.expected[:, None], 2), atol=1.5)
    arm = np.log(0.3 / 0.1)
    assert times.slope == pytest.approx(np.diff(times.times.mean(axis=1))[0] / -arm, rel=1e-12)
    variance = times.times.var(axis=1, ddof=1).sum() / 2
    assert times.error == pytest.approx(np.sqrt(variance) / arm, rel=1e-12)
    assert times.exponent == -3.0


def test_the_figure_draws_medians_and_the_times(made):
    flow, runs = made
    figure = margin_crossover_figure(flow, runs)
    figure.draw_without_rendering()
    teacher, own, norm, cross = figure.axes
    log_t = runs[0].run.log_time
    for margin, some in ((0.3, runs[:2]), (0.1, runs[2:])):
        to_teacher = [one.run.angle_to(one.data.v) for one in some]
        to_own = [one.run.angle_to(one.separator.direction) for one in some]
        for ax, angles in ((teacher, to_teacher), (own, to_own)):
            (line,) = lines(ax, rf"$\kappa={margin:g}$")
            np.testing.assert_allclose(line.get_ydata(), np.median(angles, axis=0)[log_t > 0.3], rtol=1e-12)
        (line,) = lines(norm, rf"$\kappa={margin:g}$")
        np.testing.assert_allclose(line.get_ydata(), margin * np.median([one.norm for one in some], axis=0), rtol=1e-12)
    (population,) = lines(teacher, "_population")
    np.testing.assert_array_equal(population.get_ydata(), flow.angle[np.log(flow.time) > 0.3])
    times = margin_crossover_times(flow, runs)
    (dashed,) = lines(cross, "_theory")
    np.testing.assert_array_equal(dashed.get_ydata(), times.expected)
    points = [float(box.lines[0].get_ydata()[0]) for box in cross.containers]
    assert points == pytest.approx(np.median(times.times, axis=1).tolist(), rel=1e-12)
    assert f"slope ${times.slope:.2f}" in "".join(text.get_text() for text in cross.texts)


def test_runs_that_do_not_belong_together_are_refused(made):
    flow, runs = made
    with pytest.raises(ValueError, match="`runs` must be those of margin_crossover_runs"):
        margin_crossover_times(flow, [1])
    with pytest.raises(ValueError, match="`runs` must have the depth and the times of `flow`"):
        margin_crossover_times(fs.gradient_flow(flow.problem, fs.Start(1.0, 1.5), flow.time, depth=2), runs)
    with pytest.raises(ValueError, match="`runs` must be of two margins or more, with as many seeds each"):
        margin_crossover_figure(flow, runs[:3])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"margins": [0.1]}, "`margins` must be two different ones or more, but are .0.1."),
        ({"margins": [0.1, 0.0]}, "`margins` must be positive"),
        ({"law": fs.Gaussian(dim=3)}, "`law` must be one of the plane with a density at the boundary"),
        ({"samples": 0}, "`samples` must be positive"),
        ({"seeds": 0}, "`seeds` must be a whole number, 1 or more"),
        ({"last": 0.5}, "`last` must be"),
    ],
)
def test_bad_settings_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        margin_crossover_runs(**given)
