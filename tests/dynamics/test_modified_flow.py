"""The flow of g - (eta/2) g'g and the gap it predicts: closed forms, Cartesian witnesses, and descent itself."""

import dataclasses
import logging

import jax
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

import flowsim as fs
from flowsim.dynamics import corrected, gap_prediction, modified, rerun
from flowsim.dynamics.network import make_batch

V = np.array([1.0, 0.0])


def ode(rate, y, times):
    solution = solve_ivp(lambda _, x: rate(x), (0.0, times[-1]), y, method="DOP853", t_eval=times, rtol=1e-12, atol=1e-13)
    assert solution.success
    return solution.y


class Layers:
    """g and its derivative on (a, z), z in the plane, from the risk's own gradient and Hessian: nothing of the code under test."""

    def __init__(self, risk, depth):
        self.risk, self.depth = risk, depth

    def start(self, start):
        size = float(start.norm) ** (1.0 / self.depth)
        angle = float(start.angle)
        return np.array([size if self.depth > 1 else 1.0, size * np.cos(angle), size * np.sin(angle)])

    def rate(self, y):
        a, z, n = y[0], y[1:], self.depth
        slope = self.risk.gradient(a ** (n - 1) * z, V)
        return np.concatenate([[-(a ** (n - 2)) * slope @ z if n > 1 else 0.0], -(a ** (n - 1)) * slope])

    def along(self, y, d):
        """g'(y) d."""
        a, z, n = y[0], y[1:], self.depth
        w = a ** (n - 1) * z
        slope, curvature = self.risk.gradient(w, V), self.risk.hessian(w, V)
        turned = curvature @ ((n - 1) * a ** (n - 2) * d[0] * z + a ** (n - 1) * d[1:])
        first = -(n - 2) * a ** (n - 3) * d[0] * slope @ z - a ** (n - 2) * (turned @ z + slope @ d[1:]) if n > 1 else 0.0
        return np.concatenate([[first], -(n - 1) * a ** (n - 2) * d[0] * slope - a ** (n - 1) * turned])

    def modified(self, eta):
        def rate(y):
            g = self.rate(y)
            return g - 0.5 * eta * self.along(y, g)

        return rate

    def with_gap(self, state):
        y, e = state[:3], state[3:]
        g = self.rate(y)
        return np.concatenate([g, self.along(y, e) - 0.5 * self.along(y, g)])

    def read(self, y):
        """log |w|, s and log a."""
        a, q, p = y
        z = np.hypot(q, p)
        return (self.depth - 1) * np.log(a) + np.log(z), np.arcsinh(-q / p), np.log(a)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_off_the_rays_it_is_the_modified_equation_of_the_layers(gaussian, depth):
    start, times, eta = fs.Start(1.0, 1.9), np.array([0.5, 2.0, 8.0]), 0.3
    layers = Layers(gaussian, depth)
    run = fs.modified_flow(gaussian, start, times, eta, depth, rtol=1e-12)
    log_norm, s, log_layer = layers.read(ode(layers.modified(eta), layers.start(start), times))
    np.testing.assert_allclose(run.log_norm, log_norm, atol=1e-10)
    np.testing.assert_allclose(run.log_tan_half_angle, s, atol=1e-10)
    np.testing.assert_allclose(run.log_layer, log_layer, atol=1e-10)
    assert run.status == "ok"
    # the witness would see a correction that is a thousandth off
    other = layers.read(ode(layers.modified(1.001 * eta), layers.start(start), times))
    assert np.abs(np.array(other[:2]) - [log_norm, s]).max() > 1e-5


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_the_predicted_gap_solves_the_variational_equation(gaussian, depth):
    start, times, eta = fs.Start(1.0, 1.9), np.array([0.5, 2.0, 8.0]), 0.3
    layers = Layers(gaussian, depth)
    state = ode(layers.with_gap, np.concatenate([layers.start(start), np.zeros(3)]), times)
    (a, q, p), (da, dq, dp) = state[:3], state[3:]
    z = np.hypot(q, p)
    gap = gap_prediction(gaussian, start, times, eta, depth)
    np.testing.assert_allclose(gap.log_norm, eta * ((depth - 1) * da / a + (q * dq + p * dp) / z**2), rtol=1e-7)
    np.testing.assert_allclose(gap.log_tan_half_angle, eta * (q * dp - p * dq) / (p * z), rtol=1e-7)
    np.testing.assert_array_equal(gap.time, times)


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("name", ["gaussian", "laplace"])
def test_aligned_it_is_one_scalar_equation(risk_of, name, depth):
    # balanced layers stay so there: x' = f - (eta/2) f'f, f = x^(N-1) h(x^N); the time to x is an integral
    risk, eta, last = risk_of(name), 0.5, 20.0
    run = fs.modified_flow(risk, fs.Start(0.5, 0.0), [1.0, last], eta, depth)
    x = np.exp(run.log_norm / depth)

    def pace(x):
        h, slope = float(risk.growth(x**depth)), -float(risk.curvature(x**depth))
        f = x ** (depth - 1) * h
        return f - 0.5 * eta * f * ((depth - 1) * x ** max(depth - 2, 0) * h + depth * x ** (2 * depth - 2) * slope)

    for time, here in zip((1.0, last), x, strict=True):
        assert quad(lambda x: 1.0 / pace(x), 0.5 ** (1.0 / depth), here, epsrel=1e-11)[0] == pytest.approx(time, rel=1e-9)
    np.testing.assert_array_equal(run.log_tan_half_angle, -np.inf)
    np.testing.assert_allclose(run.log_layer, np.zeros(2) if depth == 1 else run.log_norm / depth, atol=1e-12)


def test_one_layer_from_pi_passes_the_origin(gaussian):
    eta, times = 0.5, np.array([0.5, 2.0, 50.0])
    run = fs.modified_flow(gaussian, fs.Start(1.0, np.pi), times, eta, rtol=1e-12)

    def rate(y):
        q = float(y[0])
        g = gaussian.pull - np.sign(q) * float(gaussian.drag(abs(q)))
        return [g + 0.5 * eta * float(gaussian.curvature(abs(q))) * g]

    q = ode(rate, [-1.0], times)[0]
    np.testing.assert_allclose(run.norm, np.abs(q), rtol=1e-10)
    np.testing.assert_array_equal(run.log_tan_half_angle, -np.sign(q) * np.inf)
    assert q[0] < 0.0 < q[1]
    gap = gap_prediction(gaussian, fs.Start(1.0, np.pi), times, eta)
    # e = -(1/2) g log(g/g_0), wherever q is
    plain = fs.gradient_flow(gaussian, fs.Start(1.0, np.pi), times)
    signed = -np.sign(plain.log_tan_half_angle) * plain.norm
    g, g_0 = (gaussian.pull - np.sign(x) * gaussian.drag(np.abs(x)) for x in (signed, np.array(-1.0)))
    np.testing.assert_allclose(gap.log_norm, -0.5 * eta * g * np.log(g / g_0) / signed, rtol=1e-7)
    np.testing.assert_array_equal(gap.log_tan_half_angle, 0.0)


def test_two_layers_on_the_far_ray_fall_into_the_saddle_at_the_rate_known(gaussian):
    # near w = 0, where h = c, x' = -c x, and so -(c + eta c^2/2) x; log |w| = 2 log x, far below the double range
    eta, c = 0.25, gaussian.pull
    run = fs.modified_flow(gaussian, fs.Start(1.0, np.pi), [1e6, 2e6], eta, 2)
    assert run.status == "saddle"
    assert run.log_norm[1] - run.log_norm[0] == pytest.approx(-2e6 * (c + 0.5 * eta * c**2), rel=1e-9)
    np.testing.assert_array_equal(run.log_tan_half_angle, np.inf)


def test_label_noise_lets_it_rest_at_the_minimiser(risk_of):
    risk = risk_of("gaussian", 0.1)
    for angle in (0.0, 1.5):
        run = fs.modified_flow(risk, fs.Start(1.0, angle), [1e2, 1e8], 0.1, 2)
        assert run.status == "ok"
        np.testing.assert_allclose(risk.growth(run.norm), 2 * 0.1 * risk.pull, rtol=1e-9)


@jax.jit
def both_fields(tables, network, y, point, sizes):
    """g and -(1/2) g'g in the solver's coordinates; the series' d(a, q, m)/dk for each step size."""
    whole = network._replace(depth=network.depth.astype(int))
    series = jax.vmap(lambda eta: modified.modified_field(tables, whole, eta, point, modified.WEIGHTS)[0][0])(sizes)
    return *corrected.flow_rates(tables, network, 1.0, y), series


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_it_is_the_difference_series_up_to_the_third_order(gaussian, depth):
    batch, sizes = make_batch(gaussian, fs.Start(1.0, 1.2), depth), 0.1 / 2.0 ** np.arange(6)
    a, q, p = (1.0 if depth == 1 else 1.2), -0.4, 1.1
    z, m = np.hypot(q, p), np.log(p)
    # N = 1: asinh(q), asinh(m); else log |z|, asinh(s)
    y = np.array([np.log(a), np.arcsinh(q), np.arcsinh(m)] if depth == 1 else [np.log(a), np.log(z), np.arcsinh(np.arcsinh(-q / p))])
    with jax.enable_x64(True):
        network = jax.tree.map(lambda x: x[0], batch.network)
        flow, turned, series = (np.asarray(x) for x in both_fields(batch.tables, network, y, np.array([a, q, m]), sizes))
    da, dq, dm = series.T
    if depth == 1:
        rates = np.stack([da, dq / np.hypot(1.0, q), dm / np.hypot(1.0, m)])
    else:
        rates = np.stack([da / a, (q * dq + p * p * dm) / z**2, (q * dm - dq) / z / np.cosh(y[2])])
    left = rates - np.multiply.outer(flow, sizes) - np.multiply.outer(turned, sizes**2)
    if depth == 1:
        np.testing.assert_array_equal(left[0], 0.0)
    for part in left[depth == 1 :]:
        slope = np.polyfit(np.log(sizes), np.log(np.abs(part)), 1)[0]
        assert slope == pytest.approx(3.0, abs=0.1), part


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_measured_over_predicted_gap_tends_to_one_in_the_first_order(gaussian, depth):
    start, last = fs.Start(1.0, 1.5), 10.0
    flow = fs.gradient_flow(gaussian, start, [last], depth, rtol=1e-12)
    sizes = last / 2.0 ** np.arange(8, 13)
    off = []
    for eta in sizes:
        run = fs.gradient_descent(gaussian, start, float(eta), [round(last / eta)], depth, method="exact")
        gap = gap_prediction(gaussian, start, [last], float(eta), depth)
        norm, s = run.log_norm[-1] - flow.log_norm[-1], run.log_tan_half_angle[-1] - flow.log_tan_half_angle[-1]
        off.append([norm / gap.log_norm[0] - 1.0, s / gap.log_tan_half_angle[0] - 1.0])
    off = np.abs(off)
    assert off[-1].max() < 2e-3
    slopes = np.polyfit(np.log(sizes), np.log(off), 1)[0]
    np.testing.assert_allclose(slopes, 1.0, atol=0.1, err_msg=f"{off}")


def test_it_ends_where_the_series_does(gaussian):
    # sigma grows past 1, where log(1 - sigma) is singular, from about t = 400 on
    times = np.array([1.0, 1e2, 2e2, 3e2, 4e2, 5e2, 1e3, 1e6])
    run = fs.modified_flow(gaussian, fs.Start(1.0, 1.5), times, 0.1, 5)
    assert run.status == "series_ended"
    reached = np.isfinite(run.log_norm)
    last = np.flatnonzero(reached)[-1]
    assert reached[: last + 1].all()
    assert times[last] == 400.0
    assert 0.5 < run.sharpness[last] < 1.1
    for values in (run.log_norm, run.log_tan_half_angle, run.log_layer):
        assert np.isnan(values[last + 1 :]).all()
    # where it ends does not hang on what is recorded
    short = fs.modified_flow(gaussian, fs.Start(1.0, 1.5), times[: last + 1], 0.1, 5)
    assert short.status == "ok"
    np.testing.assert_allclose(short.log_tan_half_angle, run.log_tan_half_angle[: last + 1], rtol=1e-9)
    nothing = fs.modified_flow(gaussian, fs.Start(1.0, 1.5), times, 3.0, 2)
    assert nothing.status == "series_ended"
    assert np.isnan(nothing.log_norm).all()


def test_a_batch_is_its_runs(gaussian, risk_of):
    start, times = fs.Start([1.0, 2.0], 1.5), [0.0, 1.0, 1e3]
    batch = fs.modified_flow([gaussian, risk_of("gaussian", 0.1)], start, times, [[0.1], [0.01]], 2)
    assert batch.shape == (2, 2)
    alone = fs.modified_flow(risk_of("gaussian", 0.1), fs.Start(2.0, 1.5), times, 0.1, 2)
    for name in ("log_norm", "log_tan_half_angle", "log_layer", "sharpness"):
        np.testing.assert_array_equal(getattr(batch[0, 1], name), getattr(alone, name))
    np.testing.assert_allclose(alone.log_norm[0], np.log(2.0), rtol=1e-14)
    assert alone.log_tan_half_angle[0] == pytest.approx(float(fs.Start(2.0, 1.5).log_tan_half_angle), rel=1e-14)


@pytest.mark.parametrize("batch", [False, True])
def test_it_is_saved_loaded_and_run_again(gaussian, tmp_path, batch):
    run = fs.modified_flow(gaussian, fs.Start(1.0, 1.5), [1.0, 10.0], [0.1, 0.2] if batch else 0.1, 3, rtol=1e-9)
    assert run.config["function"] == "modified_flow"
    assert run.config["step_size"] == ([0.1, 0.2] if batch else 0.1)
    loaded = fs.load(run.save(tmp_path / "run.nc"))
    assert loaded.config == run.config
    for again in (loaded, rerun(loaded)):
        for field in dataclasses.fields(run):
            if field.name in ("log_norm", "log_tan_half_angle", "log_layer", "status", "step_size", "time"):
                np.testing.assert_array_equal(getattr(again, field.name), getattr(run, field.name))
    np.testing.assert_array_equal(rerun(loaded, [1.0, 5.0, 10.0]).time, [1.0, 5.0, 10.0])


def test_nothing_is_compiled_again_for_another_value(risk_of, caplog):
    logger = logging.getLogger("jax")
    logger.addHandler(caplog.handler)
    try:
        with jax.log_compiles():
            fs.modified_flow(risk_of("gaussian"), fs.Start(1.0, 1.5), fs.log_times(1e-2, 1e2, 17), 0.1, 2)
            jax.jit(lambda x: x * 2.25 + 1.5)(jax.numpy.ones(3))
            assert "Compiling" in caplog.text, "the witness sees nothing"
            caplog.clear()
            fs.modified_flow(risk_of("laplace"), fs.Start(2.0, 0.0), fs.log_times(1.0, 1e6, 33), 0.3, 7, rtol=1e-7)
            gap_prediction(risk_of("circle"), fs.Start(0.1, 2.5), np.arange(65.0), 0.01, 1)
            assert "Compiling" not in caplog.text
    finally:
        logger.removeHandler(caplog.handler)


def test_bad_input_is_refused_by_name(gaussian):
    start = fs.Start(1.0, 1.5)
    for function in (fs.modified_flow, gap_prediction):
        with pytest.raises(ValueError, match="`step_size` must be positive and finite, but is 0"):
            function(gaussian, start, [1.0], 0.0)
        with pytest.raises(ValueError, match="`times` must increase strictly, but 2 is followed by 1"):
            function(gaussian, start, [2.0, 1.0], 0.1)
        with pytest.raises(ValueError, match=r"`times` must be one-dimensional, but has shape \(1, 1\)"):
            function(gaussian, start, [[1.0]], 0.1)
        with pytest.raises(ValueError, match="`depth` must be a whole number from 1 to 100"):
            function(gaussian, start, [1.0], 0.1, 0)
        with pytest.raises(ValueError, match=r"`rtol` must be in \[1e-12, 0.001\], but is 1"):
            function(gaussian, start, [1.0], 0.1, rtol=1.0)
    with pytest.raises(ValueError, match=r"must make a single run, but make a batch of shape \(2,\)"):
        gap_prediction(gaussian, fs.Start([1.0, 2.0], 1.5), [1.0], 0.1)
    assert gap_prediction(gaussian, start, [0.0], 0.1).log_norm == 0.0
