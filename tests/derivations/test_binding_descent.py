"""flowsim's descent held against the derived map and what follows from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import flowsim as fs
from derivations import derive, symbols
from derivations.edge_of_stability import delayed_burst_sigma
from flowsim.dynamics.network import UNALIGNED, DescentState, descent_step, make_batch

ETA, NOISE, LAYER = sp.Symbol("eta", positive=True), sp.Symbol("epsilon", positive=True), sp.Symbol("a", real=True, nonzero=True)
Z_PAR, Z_PERP = sp.symbols("z_par z_perp", real=True)
MAP = ("next_layer", "next_parallel", "next_perp")


def derived_step(risk, depth, step_size, state):
    """The next (a, z_par, z_perp) by the derived map."""
    a, along, across = state
    h = float(risk.growth(abs(a) ** (depth - 1) * np.hypot(along, across)))
    values = {symbols.N: depth, symbols.c: risk.pull, ETA: step_size, NOISE: risk.label_noise, LAYER: a, Z_PAR: along, Z_PERP: across}
    return [float(derive("descent").results[key].replace(symbols.h, lambda _: sp.Float(h)).subs(values)) for key in MAP]


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("depth", [2, 3, 4, 7])
def test_a_step_is_the_derived_one_on_either_side_of_zero(depth, noise):
    risk, rng = fs.PopulationRisk(fs.Gaussian(dim=3, scale=1.3), label_noise=noise), np.random.default_rng(depth)
    batch = make_batch(risk, fs.Start(1.0, 1.0), depth)
    with jax.enable_x64(True):
        network = jax.tree.map(lambda x: jnp.asarray(x[0]), batch.network._replace(depth=batch.network.depth.astype(np.int64)))
        for a_sign in (1.0, -1.0):
            for _ in range(5):
                state = (a_sign * rng.uniform(0.4, 1.7), rng.normal(), rng.uniform(-0.9, 0.9))
                step_size = rng.uniform(0.05, 3.0)
                numbers = [jnp.asarray(x) for x in state]
                before = DescentState(*numbers, jnp.asarray(0), jnp.asarray(float(UNALIGNED)), jnp.zeros(()), jnp.zeros(()))
                after = descent_step(batch.tables, network, jnp.asarray(step_size), jnp.asarray(0), before)
                assert int(after.shift) in (0, -1, 1)
                found = [float(after.a), float(after.parallel), float(after.mantissa) * 2.0 ** (-512 * int(after.shift))]
                assert found == pytest.approx(derived_step(risk, depth, step_size, state), rel=1e-11, abs=1e-12), state


@pytest.mark.parametrize("step_size", [0.3, 2.0])
@pytest.mark.parametrize("depth", [2, 3, 4])
def test_the_run_is_the_derived_map_iterated(depth, step_size):
    risk, start = fs.PopulationRisk(fs.Sphere(dim=4)), fs.Start(1.5, 1.0)
    run = fs.gradient_descent(risk, start, step_size, np.arange(6), depth, method="exact")
    size = 1.5 ** (1 / depth)
    state = [size, size * np.cos(1.0), size * np.sin(1.0)]
    for k in range(6):
        a, along, across = state
        sign = np.sign(a) ** (depth - 1)
        angle = np.arctan2(abs(across), sign * along)
        assert run.log_norm[k] == pytest.approx((depth - 1) * np.log(abs(a)) + np.log(np.hypot(along, across)), abs=1e-11)
        assert run.log_tan_half_angle[k] == pytest.approx(np.log(np.tan(angle / 2)), abs=1e-11)
        state = derived_step(risk, depth, step_size, state)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_gap_of_an_aligned_run_to_the_flow_is_the_derived_one(depth):
    risk, start, late = fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(0.8, 0.0), 6.0
    known = derive("modified_equation").results
    (size,) = known["aligned_layer_rate"].free_symbols - {symbols.N}
    rate = sp.lambdify([size], known["aligned_layer_rate"].subs(symbols.N, depth), modules=[{"h": risk.growth}, "numpy"])
    gap = sp.lambdify(("g", "g_0"), known["scalar_gap"])
    flow = np.exp(fs.gradient_flow(risk, start, [late], depth, rtol=1e-12).log_norm[-1] / depth)
    predicted, off = gap(float(rate(flow)), float(rate(0.8 ** (1 / depth)))), []
    for eta in (late / 600, late / 1200):
        run = fs.gradient_descent(risk, start, eta, [round(late / eta)], depth, method="exact")
        off.append((np.exp(run.log_norm[-1] / depth) - flow) / eta - predicted)
    assert abs(off[1]) < 0.02 * abs(predicted)
    assert off[0] / off[1] == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("depth", [2, 3])
def test_a_run_near_the_noisy_minimiser_is_multiplied_by_the_derived_factors(depth):
    risk = fs.PopulationRisk(fs.Gaussian(dim=3), label_noise=0.02)
    norm = risk.minimiser_norm
    values = {symbols.N: depth, symbols.c: risk.pull, symbols.r: norm, NOISE: 0.02}
    known = derive("descent").results
    radial, across, largest = (
        known[key].replace(symbols.kappa, lambda _: sp.Float(float(risk.curvature(norm)))).subs(values)
        for key in ("radial_multiplier", "direction_multiplier", "largest_step_size")
    )
    eta = 0.9 * float(largest)
    run = fs.gradient_descent(risk, fs.Start(norm * (1 + 1e-6), 1e-6), eta, np.arange(3), depth, method="exact")
    off = run.log_norm - np.log(norm)
    assert off[1] / off[0] == pytest.approx(float(radial.subs(ETA, eta)), abs=1e-3)
    assert np.diff(run.log_tan_half_angle)[0] == pytest.approx(np.log(abs(float(across.subs(ETA, eta)))), abs=1e-3)
    assert abs(float(across.subs(ETA, eta))) > abs(float(radial.subs(ETA, eta)))  # here the direction is lost first
    for factor, multiplier in ((0.97, 0.94), (1.03, 1.06)):
        away = fs.gradient_descent(risk, fs.Start(norm * (1 + 1e-6), 1e-6), factor * float(largest), [0, 50], depth, method="exact")
        assert np.diff(away.log_tan_half_angle)[0] == pytest.approx(50 * np.log(multiplier), rel=1e-3)


def test_two_layers_above_the_threshold_are_held_where_derived():
    risk, pull_times_step = fs.PopulationRisk(fs.Gaussian(dim=3)), 2.2
    first, last = 500_000, 1_000_000
    run = fs.gradient_descent(risk, fs.Start(1.0, 0.1), pull_times_step / risk.pull, np.arange(first, last, 53), 2, method="exact")
    k, tail = sp.Symbol("k", positive=True), sp.Symbol("a", positive=True)
    values = {symbols.c: risk.pull, symbols.K: risk.tail.constant, tail: 1, ETA: pull_times_step / risk.pull}
    known = derive("two_layer_edge").results
    angle, norm = (sp.lambdify(k, known[key].subs(values)) for key in ("angle_rms_squared", "norm_to_one_plus_a"))
    steps = run.step.astype(float)
    squares = 2 * run.one_minus_cos / angle(steps)
    assert squares.mean() == pytest.approx(1, abs=0.1)
    assert squares.max() > 10
    np.testing.assert_allclose(np.exp(2 * run.log_norm), norm(steps), rtol=0.01)


@pytest.mark.parametrize(("depth", "pull_times_step"), [(3, 0.3), (4, 0.1), (6, 0.03)])
def test_the_first_burst_of_deeper_runs_is_where_derived(depth, pull_times_step):
    risk = fs.PopulationRisk(fs.Gaussian(dim=3))
    sigma = delayed_burst_sigma(depth)
    values = {symbols.N: depth, symbols.c: risk.pull, symbols.K: risk.tail.constant, ETA: pull_times_step / risk.pull}
    known = derive("edge_of_stability").results
    norm, step = (
        float(known[key].subs(values).subs(sp.Symbol("Sigma", positive=True), sigma)) for key in ("first_burst_norm", "first_burst_step")
    )
    record = np.unique(np.round(step * np.linspace(0.5, 1.1, 3001)).astype(int))
    run = fs.gradient_descent(risk, fs.Start(1.0, 1.0), pull_times_step / risk.pull, record, depth, method="exact")
    (falls,) = np.nonzero(np.diff(run.log_norm) < -1e-3)
    assert run.step[falls[0]] == pytest.approx(step, rel=0.02)
    assert np.exp(run.log_norm[falls[0]]) == pytest.approx(norm, rel=0.02)
    assert run.log_tan_half_angle[: falls[0]].min() < -1000
