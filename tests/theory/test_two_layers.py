"""Two layers at the edge: the averages and the bursts against exact descent, written out here for the tail of the growth."""

import dataclasses
from math import sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax import lax

import flowsim as fs
from flowsim.theory import direction_rate, growing_bursts_step_size, label_noise_stability, two_layer_edge


@jax.jit
def advance(state, count, force):
    """``count`` steps of descent on a and z, in z's part along v and the log of that across it, where h = K r^(-1-a).

    With the sum of theta^2 and the largest |theta| in them.
    """
    eta, pull, constant, exponent = force

    def step(_, x):
        a, along, log_across, total, largest = x
        across = jnp.exp(log_across)
        z = jnp.hypot(along, across)
        cos, sin = along / z, across / z
        growth = constant * (a * z) ** (-1.0 - exponent)
        gap = sin * sin / (1.0 + cos)
        theta = jnp.arctan2(across, along)
        return jnp.stack(
            [
                a + eta * z * (growth - pull * gap),
                along + eta * a * (growth * cos + pull * gap),
                log_across + jnp.log(jnp.abs(1.0 - eta * (pull - growth) * a / z)),
                total + theta**2,
                jnp.maximum(largest, jnp.abs(theta)),
            ]
        )

    return lax.fori_loop(0, count, step, state)


def at_the_edge(risk, pulls, first, last, swing, angle):
    """Descent at eta c = ``pulls`` from the predicted norm at step ``first``, sigma = 2 + swing: four records a decade of k.

    Returns their steps and norms, and the sum of theta^2 and the largest angle since the record before.
    """
    found, tail = two_layer_edge(risk, pulls / risk.pull), risk.tail
    z = sqrt(float(found.norm(first)) / found.kappa)
    record = np.round(np.geomspace(first, last, round(4 * np.log10(last / first)) + 1)).astype(int)
    with jax.enable_x64(True):
        force = jnp.asarray([pulls / risk.pull, risk.pull, tail.constant, tail.exponent])
        state, rows = jnp.asarray([found.kappa * z * (1.0 + swing / 2.0), z, np.log(angle * z), 0.0, 0.0]), []
        for count in np.diff(record):
            state = advance(state.at[3:].set(0.0), jnp.asarray(count), force)
            rows.append(np.asarray(state))
    a, along, log_across, total, largest = np.array(rows).T
    return record[1:], a * np.hypot(along, np.exp(log_across)), total, largest


LAWS = {"flat": fs.Sphere(dim=3), "half": fs.Radial(3, scipy.stats.gamma(0.5))}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("pulls", [2.2, 3.0])
def test_angle_and_norm_on_average(name, pulls):
    problem = fs.PopulationRisk(LAWS[name])
    found = two_layer_edge(problem, pulls / problem.pull)
    steps, norms, total, _ = at_the_edge(problem, pulls, 10**5, 10**7, 0.01, 1e-3)
    # the sum of a mean square C/k over a decade is C log 10
    measured = total[-4:].sum() / np.log(steps[-1] / steps[-5])
    assert measured == pytest.approx(float(found.angle_rms(1.0)) ** 2, rel=0.02)
    np.testing.assert_allclose(norms[-4:] / found.norm(steps[-4:]), 1.0, atol=0.01)
    for wrong in (
        dataclasses.replace(found, kappa=found.kappa * 0.9),
        dataclasses.replace(found, tail=dataclasses.replace(found.tail, exponent=0.8)),
    ):
        assert abs(measured / float(wrong.angle_rms(1.0)) ** 2 - 1.0) > 0.05


@pytest.mark.parametrize(("name", "pulls"), [("flat", 3.0), ("flat", 4.6), ("flat", 5.4), ("half", 3.0), ("half", 3.9), ("half", 4.8)])
def test_the_largest_angles_of_the_bursts_follow_their_power(name, pulls):
    problem = fs.PopulationRisk(LAWS[name])
    found = two_layer_edge(problem, pulls / problem.pull)
    steps, _, _, largest = at_the_edge(problem, pulls, 10**6, 10**7, 0.02, 1e-4)
    slope = np.polyfit(np.log(steps), np.log(largest), 1)[0]
    assert slope == pytest.approx(found.burst_exponent, abs=0.015)
    assert (found.burst_exponent > 0.0) is (pulls / problem.pull > growing_bursts_step_size(problem))


def test_flowsims_own_descent_is_held_at_the_edge_too():
    problem = fs.PopulationRisk(LAWS["flat"])
    step_size = 2.5 / problem.pull
    found = two_layer_edge(problem, step_size)
    steps = np.array([10**5, 10**6])
    run = fs.gradient_descent(problem, fs.Start(1.0, 1.0), step_size, steps, 2, "exact")
    np.testing.assert_allclose(run.norm, found.norm(steps), rtol=0.02)
    window = np.arange(10**6, 10**6 + 20000)
    run = fs.gradient_descent(problem, fs.Start(1.0, 1.0), step_size, window, 2, "exact")
    assert np.sqrt((run.angle**2).mean()) == pytest.approx(float(found.angle_rms(10**6)), rel=0.2)


def test_the_printed_numbers_of_a_smooth_law():
    problem = fs.PopulationRisk(LAWS["flat"])
    c, k = problem.pull, np.pi**2 / 12
    found = two_layer_edge(problem, 3.0 / c)
    m, kappa = 2.25, 2.0 / 3.0
    assert found.kappa == pytest.approx(kappa)
    assert found.angle_rms(100.0) == pytest.approx(sqrt((1 - kappa**2) / 800.0), rel=1e-12)
    assert found.norm([100.0])[0] == pytest.approx(sqrt(1600.0 * k / (c * (1 + kappa**2))), rel=1e-12)
    assert found.burst_exponent == pytest.approx((m**2 - 6 * m - 1) / (12 * m), rel=1e-12)
    assert growing_bursts_step_size(problem) * c == pytest.approx(2.0 * sqrt(3.0 + sqrt(10.0)), rel=1e-12)


@pytest.mark.parametrize("name", LAWS)
def test_no_burst_grows_at_the_growing_bursts_step_size(name):
    problem = fs.PopulationRisk(LAWS[name])
    assert two_layer_edge(problem, growing_bursts_step_size(problem)).burst_exponent == pytest.approx(0.0, abs=1e-14)


# --- below the edge ---


@pytest.mark.parametrize("name", ["gaussian", "laplace", "student"])
@pytest.mark.parametrize("pulls", [0.1, 0.7, 1.5, 1.9])
def test_the_direction_falls_at_its_rate(risk, name, pulls):
    problem = risk(name)
    step_size = pulls / problem.pull
    run = fs.gradient_descent(problem, fs.Start(1.0, 0.1), step_size, [10**6, 10**6 + 10**4], 2, "exact")
    measured = np.diff(run.log_tan_half_angle)[0] / 1e4
    assert measured == pytest.approx(float(direction_rate(problem, 2, step_size)), rel=2e-3)


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_with_label_noise_there_is_a_rate_at_every_depth(risk, depth, share):
    noisy = risk("gaussian", 0.1)
    step_size = share * label_noise_stability(noisy, depth).critical_step_size
    run = fs.gradient_descent(noisy, fs.Start(noisy.minimiser_norm, 1e-6), step_size, [2000, 2100], depth, "exact")
    measured = np.diff(run.log_tan_half_angle)[0] / 100
    assert measured == pytest.approx(float(direction_rate(noisy, depth, step_size)), rel=1e-4)


def test_the_rate_of_many_step_sizes_and_at_its_singularity(risk):
    units = 1.0 / risk("gaussian").pull
    found = direction_rate(risk("gaussian"), 2, np.array([[0.5, 1.0, 1.5]]) * units)
    np.testing.assert_allclose(found[:, [0, 2]], np.log([[0.5, 0.5]]), rtol=1e-12)
    assert found[0, 1] < -30.0


# --- refusals ---


def test_step_sizes_on_the_wrong_side_are_refused(risk):
    for step_size in (4.0, 7.99):
        with pytest.raises(ValueError, match=rf"`step_size` must be above 2/c = 8 for two layers to reach the edge, but is {step_size:g}"):
            two_layer_edge(risk("flat"), step_size)
    with pytest.raises(ValueError, match=r"`step_size` must be below the critical one, 8, but is 8\.01"):
        direction_rate(risk("flat"), 2, [1.0, 8.01])
    for call in (lambda eta: two_layer_edge(risk("flat"), eta), lambda eta: direction_rate(risk("flat"), 2, eta)):
        with pytest.raises(ValueError, match="`step_size` must be positive and finite, but is -1"):
            call(-1.0)


def test_depths_without_a_rate_are_refused(risk):
    for depth in (1, 3):
        with pytest.raises(ValueError, match=f"`depth` must be 2 without label noise, but is {depth}"):
            direction_rate(risk("gaussian"), depth, 0.1)


def test_risks_without_an_edge_are_refused(risk):
    for call in (growing_bursts_step_size, lambda r: two_layer_edge(r, 10.0)):
        with pytest.raises(ValueError, match=r"`risk` must be free of label noise, but has 0.1"):
            call(risk("gaussian", 0.1))
        with pytest.raises(ValueError, match=r"must have a growth with a power tail"):
            call(fs.PopulationRisk(fs.Radial(3, scipy.stats.gamma(1.0))))
        with pytest.raises(ValueError, match=r"`risk` must be a flowsim.PopulationRisk, but is 1"):
            call(1)


@pytest.mark.parametrize("step", [0.0, -1.0, np.nan, []])
def test_steps_must_be_positive(risk, step):
    found = two_layer_edge(risk("flat"), 10.0)
    for method in (found.angle_rms, found.norm):
        with pytest.raises(ValueError, match="`step` must"):
            method(step)
