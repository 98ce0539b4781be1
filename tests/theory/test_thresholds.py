"""The edge of stability: roots and integrals against mpmath, multipliers and thresholds against exact descent, steps against the flow."""

import re

import mpmath as mp
import numpy as np
import pytest
import scipy.stats

import flowsim as fs
from flowsim import theory
from flowsim.theory import Edge, critical_step_size, edge, first_burst, label_noise_stability, rates, sharpness
from flowsim.theory.thresholds import EDGE

NAMES = ["gaussian", "circle", "flat", "laplace", "student", "half"]
every_law = pytest.mark.parametrize("name", NAMES)


# --- sharpness ---


@every_law
@pytest.mark.parametrize("depth", [1, 2, 3, 7])
@pytest.mark.parametrize(("norm", "step_size"), [(0.3, 0.5), (2.0, 4.0), (40.0, 1.0)])
def test_one_step_of_descent_multiplies_the_part_across_v_by_one_minus_sigma(risk, name, depth, norm, step_size):
    sigma = sharpness(risk(name), depth, step_size, norm)
    run = fs.gradient_descent(risk(name), fs.Start(norm, 1e-6), step_size, [0, 1], depth, "exact")
    # theta is that part over the layer's norm, which the step carries from r^(1/N) by eta r^(1-1/N) h
    growth = 1.0 + step_size * norm ** (1.0 - 2.0 / depth) * float(risk(name).growth(norm))
    assert np.exp(np.diff(run.log_tan_half_angle))[0] * growth == pytest.approx(abs(1.0 - sigma), rel=1e-9)
    assert run.side is not None
    assert run.side[1] == np.sign(1.0 - sigma)


def test_sharpness_broadcasts_and_does_not_overflow(risk):
    sigma = sharpness(risk("gaussian"), [1, 2, 100], [[0.1], [1.0]], [1e-200, 1.0, 1e300])
    assert sigma.shape == (2, 3)
    assert np.isfinite(sigma).all()
    assert sharpness(risk("gaussian"), 3, 1.0, 2.0).shape == ()
    np.testing.assert_allclose(sigma[:, 0], [0.025, 0.25], rtol=1e-12)


# --- label noise: the minimiser, and when descent stays there ---


def near_the_minimiser(risk, depth, step_size, log_norm=1e-3, angle=1e-3):
    """400 steps of descent from next to the minimiser: the distances from it, and log r - log r*."""
    r = risk.minimiser_norm
    run = fs.gradient_descent(risk, fs.Start(r * np.exp(log_norm), angle), step_size, np.arange(401), depth, "exact")
    gap = run.log_norm - np.log(r)
    return np.hypot(gap, run.angle), gap


CASES = [
    ("gaussian", 0.05, 3, False),
    ("laplace", 0.2, 1, False),
    ("flat", 0.05, 2, False),
    ("gaussian", 0.2, 3, True),
    ("half", 0.4, 5, True),
]


@pytest.mark.parametrize(("name", "noise", "depth", "radial_first"), CASES)
def test_the_minimiser_is_stable_up_to_the_critical_step_size(risk, name, noise, depth, radial_first):
    noisy = risk(name, noise)
    found = label_noise_stability(noisy, depth)
    assert found.radial_first is radial_first
    assert float(noisy.growth(found.norm)) == pytest.approx(2.0 * noise * noisy.pull, rel=1e-12)
    assert critical_step_size(noisy, depth) == found.critical_step_size
    below, above = (near_the_minimiser(noisy, depth, factor * found.critical_step_size)[0] for factor in (0.99, 1.01))
    assert below.max() < 1.5 * below[0]
    assert below[-1] < 1e-3 * below[0]
    assert above.max() > 4.0 * above[0]


@pytest.mark.parametrize(("name", "noise", "depth"), [case[:3] for case in CASES])
def test_across_v_the_minimiser_is_stable_up_to_two_over_the_curvature(risk, name, noise, depth):
    found = label_noise_stability(risk(name, noise), depth)
    for factor, falls in ((0.99, True), (1.01, False)):
        start = fs.Start(found.norm, 1e-100)
        run = fs.gradient_descent(risk(name, noise), start, factor * 2.0 / found.direction, [0, 2], depth, "exact")
        assert (run.log_tan_half_angle[1] < run.log_tan_half_angle[0]) is np.bool_(falls)


@pytest.mark.parametrize(("name", "noise", "depth"), [("gaussian", 0.2, 3), ("half", 0.4, 5), ("circle", 0.3, 2)])
def test_the_norm_overshoots_above_the_oscillating_step_size_and_still_settles(risk, name, noise, depth):
    noisy = risk(name, noise)
    found = label_noise_stability(noisy, depth)
    for factor, signs in ((0.98, [1, 1, 1]), (1.02, [1, -1, 1])):
        distance, gap = near_the_minimiser(noisy, depth, factor * found.oscillating_step_size, log_norm=1e-4, angle=1e-9)
        assert distance[-1] < 1e-3 * distance[0]
        assert np.sign(gap[:3]).tolist() == signs
    _, gap = near_the_minimiser(noisy, depth, 1.5 * found.oscillating_step_size, log_norm=1e-6, angle=1e-9)
    assert gap[1] / gap[0] == pytest.approx(-0.5, abs=1e-4)


# --- the critical step size and the edge without label noise ---


@every_law
def test_the_critical_step_size_is_where_sharpness_ends_at_two(risk, name):
    assert critical_step_size(risk(name), 1) == np.inf
    assert critical_step_size(risk(name), 3) == critical_step_size(risk(name), 100) == 0.0
    critical = critical_step_size(risk(name), 2)
    assert sharpness(risk(name), 2, critical, 1e30) == pytest.approx(EDGE, rel=1e-12)
    never = Edge(np.inf, np.inf, np.inf)
    assert edge(risk(name), 1, 100.0) == edge(risk(name), 2, critical) == never
    assert 1.0 < edge(risk(name), 2, 1.001 * critical).norm < np.inf


@every_law
@pytest.mark.parametrize(("depth", "pulls"), [(2, 2.5), (3, 0.5), (4, 0.2), (9, 0.1)])
def test_the_aligned_flow_arrives_at_the_edge_when_it_is_due(flow, risk, name, depth, pulls):
    step_size = pulls / risk(name).pull
    found = edge(risk(name), depth, step_size, start_norm=0.2)
    assert sharpness(risk(name), depth, step_size, found.norm) == pytest.approx(EDGE, rel=1e-12)
    assert flow(name, depth, 0.2, -300.0).at(step_size * found.step)[0] == pytest.approx(found.norm, rel=1e-9)
    assert edge(risk(name), depth, step_size, start_norm=found.norm * 1.01).step == 0.0


@every_law
@pytest.mark.parametrize("depth", [3, 4, 9])
def test_the_leading_steps_are_those_of_the_late_rates(risk, name, depth):
    step_size = 1e-6
    reached, burst = edge(risk(name), depth, step_size), first_burst(risk(name), depth, step_size)
    late = rates(risk(name), depth)
    for norm, step in ((reached.norm, reached.step_leading), (burst.norm, burst.step)):
        assert late.norm(step_size * step) == pytest.approx(norm, rel=1e-12)
    assert sharpness(risk(name), depth, step_size, burst.norm) == pytest.approx(burst.sigma, rel=1e-6)
    slack = 2e-2 if name == "half" else 1e-4
    assert reached.step == pytest.approx(reached.step_leading, rel=slack)
    assert burst.step_refined == pytest.approx(burst.step, rel=slack)
    assert burst.sigma_refined == pytest.approx(burst.sigma, rel=slack)


# --- the first burst ---


def primitive(x, power):
    """int_0^x log|1 - y| y^power dy for whole powers, in closed form."""
    n = power + 1
    return ((x**n - 1) * mp.log(abs(1 - x)) - sum(x**j / mp.mpf(j) for j in range(1, n + 1))) / n


@pytest.mark.parametrize(("depth", "power"), [(3, 4), (4, 2), (6, 1)])
def test_the_sharpness_of_the_first_burst_in_closed_form(risk, depth, power):
    expected = mp.findroot(lambda x: primitive(x, power), (2.2, 4.0), solver="anderson")
    assert first_burst(risk("gaussian"), depth, 0.01).sigma == pytest.approx(float(expected), rel=1e-12)
    other = mp.findroot(lambda x: primitive(x, power + 1), (2.1, 4.0), solver="anderson")
    assert abs(other / expected - 1) > 0.02


@pytest.mark.parametrize(("name", "depth"), [("gaussian", 5), ("laplace", 100), ("half", 3), ("half", 6), ("half", 30)])
def test_the_sharpness_of_the_first_burst_is_the_root_of_its_integral(risk, name, depth):
    a = 0.5 if name == "half" else 1.0
    sigma, p = first_burst(risk(name), depth, 0.01).sigma, (a * depth + 2) / (depth - 2) - 1
    below, above = (mp.quad(lambda x: mp.log(abs(1 - x)) * x ** mp.mpf(p), cut) for cut in ([0, 1], [1, sigma]))
    assert float(above / below) == pytest.approx(-1.0, rel=1e-11)


def flat_growth(r):
    """h where |x_1| is uniform on (0, 1)."""
    tail = mp.exp(-r)
    return (mp.pi**2 / 12 - r * mp.log1p(tail) + mp.re(mp.polylog(2, -tail))) / r**2


@pytest.mark.parametrize(("depth", "step_size", "start"), [(3, 1.2, 1.0), (4, 2.0, 0.1), (6, 1.0, 3.0)])
def test_the_refined_first_burst_is_the_root_of_its_integral(risk, depth, step_size, start):
    found = first_burst(risk("flat"), depth, step_size, start_norm=start)

    def sigma(r):
        return step_size * (mp.mpf(1) / 4 - flat_growth(r)) * r ** (1 - mp.mpf(2) / depth)

    def steps(r):
        return 1 / (step_size * depth * r ** (2 - mp.mpf(2) / depth) * flat_growth(r))

    def gain(r):
        return mp.log(abs(1 - sigma(r))) * steps(r)

    one, two = (mp.findroot(lambda r, level=level: sigma(r) - level, (5, 100), solver="anderson") for level in (1, 2))
    assert edge(risk("flat"), depth, step_size).norm == pytest.approx(float(two), rel=1e-12)
    cuts = [cut for cut in (start, 0.3, 1, 3, 10, 30, one) if start <= cut <= one]
    fallen, last = mp.quad(gain, cuts), mp.mpf(found.norm_refined)
    risen = mp.quad(gain, [one, two, last])
    # the norm is where the total vanishes, to 1e-8
    assert abs((fallen + risen) / (gain(last) * last)) < 1e-8
    assert found.sigma_refined == pytest.approx(float(sigma(last)), rel=1e-11)
    assert found.step_refined == pytest.approx(float(mp.quad(steps, [*cuts, two, last])), rel=1e-8)


def first_crossing(risk, depth, step_size, start, last):
    """The step and the balanced sharpness where c (1 - cos theta) exceeds h(r) again after being smaller."""
    run = fs.gradient_descent(risk, start, step_size, np.arange(last + 1), depth, "exact")
    turns = risk.pull * run.one_minus_cos > risk.growth(run.norm)
    aligned = int(np.argmin(turns))
    assert not turns[aligned]
    step = aligned + int(np.argmax(turns[aligned:]))
    assert turns[step]
    return step, float(sharpness(risk, depth, step_size, run.norm[step]))


@pytest.mark.parametrize(("name", "depth", "pulls"), [("gaussian", 3, 0.4), ("laplace", 3, 0.4), ("gaussian", 4, 0.2), ("half", 3, 0.3)])
def test_descent_bursts_where_predicted(risk, name, depth, pulls):
    problem = risk(name)
    step_size = pulls / problem.pull
    found = first_burst(problem, depth, step_size)
    step, sigma = first_crossing(problem, depth, step_size, fs.Start(1.0, 1e-2), int(1.1 * found.step_refined))
    assert found.step_refined == pytest.approx(step, rel=5e-3)
    assert found.sigma_refined == pytest.approx(sigma, rel=2e-3)
    assert step > 2.0 * edge(problem, depth, step_size).step
    if name == "gaussian":
        assert found.sigma == pytest.approx(sigma, rel=1e-2)
    else:
        assert abs(found.step / step - 1.0) > 0.03


def test_a_run_that_starts_beyond_the_edge_bursts_at_once(risk):
    found = first_burst(risk("gaussian"), 3, 12.0, start_norm=2.0)
    assert (found.norm_refined, found.step_refined) == (2.0, 0.0)
    assert found.sigma_refined == float(sharpness(risk("gaussian"), 3, 12.0, 2.0)) > EDGE


@pytest.mark.parametrize("name", ["gaussian", "student", "half"])
def test_extreme_arguments_do_not_warn(risk, name):
    for depth, step_size, start in ((3, 1e-40, 1e-30), (100, 1e-100, 1e10), (5, 1e3, 1e-8), (100, 20.0, 1e-25), (7, 11.0, 1e-14)):
        found = first_burst(risk(name), depth, step_size, start_norm=start)
        assert np.isfinite([found.norm, found.step, found.norm_refined, found.step_refined]).all()


def test_a_tail_with_a_logarithm_has_no_leading_step():
    problem = fs.PopulationRisk(fs.Radial(3, scipy.stats.gamma(1.0)))
    assert np.isnan(edge(problem, 3, 0.5).step_leading)
    found = first_burst(problem, 3, 0.5)
    assert np.isnan(found.step)
    assert found.step_refined > edge(problem, 3, 0.5).step > 0.0


def test_the_call_of_the_contract():
    burst = fs.theory.thresholds.first_burst(fs.PopulationRisk(fs.Gaussian(dim=2)), depth=3, step_size=0.5)
    assert burst.sigma == pytest.approx(2.5116417, rel=1e-7)
    assert burst.step > 0.0
    assert theory.first_burst is fs.theory.thresholds.first_burst


# --- refusals ---


@pytest.mark.parametrize("call", [edge, first_burst, sharpness])
def test_step_sizes_must_be_positive(risk, call):
    rest = (1.0,) if call is sharpness else ()
    for step_size in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="`step_size` must be positive and finite, but is"):
            call(risk("gaussian"), 3, step_size, *rest)


@pytest.mark.parametrize("call", [edge, first_burst])
def test_edges_out_of_reach_norms_and_noise_are_refused(risk, call):
    for step_size, size in ((1e-60, "small"), (1e200, "large")):
        message = f"`step_size` must have its edge at a norm in [1e-140, 1e+140], but {step_size:g} is too {size}"
        with pytest.raises(ValueError, match=re.escape(message)):
            call(risk("gaussian"), 3, step_size)
    with pytest.raises(ValueError, match="`start_norm` must be positive and finite, but is -1"):
        call(risk("gaussian"), 3, 0.5, start_norm=-1.0)
    with pytest.raises(ValueError, match=r"`risk` must be free of label noise, but has 0.1: its run ends at the minimiser"):
        call(risk("gaussian", 0.1), 3, 0.5)


@pytest.mark.parametrize("depth", [1, 2, 0, 2.5, 101, True])
def test_the_first_burst_needs_three_layers(risk, depth):
    with pytest.raises(ValueError, match="`depth` must be a whole number from 3 to 100, but is"):
        first_burst(risk("gaussian"), depth, 0.5)


@pytest.mark.parametrize(
    "call", [critical_step_size, label_noise_stability, lambda r, n: edge(r, n, 0.5), lambda r, n: sharpness(r, n, 0.5, 1.0)]
)
def test_depths_and_risks_of_the_wrong_kind_are_refused(risk, call):
    for depth in (0, 101, 1.5, "two", True):
        with pytest.raises(ValueError, match="`depth` must be a whole number from 1 to 100"):
            call(risk("gaussian"), depth)
    with pytest.raises(ValueError, match=r"`risk` must be a flowsim.PopulationRisk, but is 'gaussian'"):
        call("gaussian", 3)


def test_what_else_is_refused(risk):
    with pytest.raises(ValueError, match=r"`risk` must have label noise, but has none: .* see critical_step_size"):
        label_noise_stability(risk("gaussian"), 2)
    with pytest.raises(ValueError, match="`norm` must be positive and finite, but is 0"):
        sharpness(risk("gaussian"), 2, 0.5, 0.0)
    with pytest.raises(ValueError, match=r"`depth`, `step_size` and `norm` must broadcast, but have shapes \(2,\), \(3,\) and \(\)"):
        sharpness(risk("gaussian"), [1, 2], [0.1, 0.2, 0.3], 1.0)
