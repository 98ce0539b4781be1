"""The field the solvers integrate, against the same field written in other coordinates and other arithmetic."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import flowsim as fs
from flowsim.dynamics.network import flow_field, flow_velocity, make_batch

DEPTHS = [1, 2, 3, 4, 10, 100]
_field = jax.jit(jax.vmap(flow_field, in_axes=(None, 0, 0)))


def field_at(risk, norm, angle, depth):
    """What the solver sees at these points, in its own coordinates, with the log-norms and s it was given."""
    batch = make_batch(risk, fs.Start(norm, angle), depth)
    one = batch.network.depth == 1.0
    s = np.where(np.isinf(batch.s), 0.0, batch.s)
    cos = np.where(np.isinf(batch.s), batch.network.ray, -np.tanh(s))
    first = np.where(one, np.exp(batch.log_norm) * cos, batch.log_norm)
    log_perp = batch.log_norm - np.log(np.cosh(s))
    with jax.enable_x64(True):
        y = jnp.asarray(np.stack([first, np.where(one, log_perp, s)], axis=-1))
        network = jax.tree.map(jnp.asarray, batch.network)
        return batch, np.asarray(_field(batch.tables, network, y))


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("name", ["gaussian", "circle", "heavy", "singular"])
def test_the_jax_field_is_the_numpy_velocity(risk_of, name, noise):
    risk = risk_of(name, noise)
    generator = np.random.default_rng(5)
    norm = np.exp(generator.uniform(-18, 18, 60))
    angle = generator.uniform(0.01, np.pi - 0.01, 60)
    for depth in DEPTHS:
        batch, field = field_at(risk, norm, angle, depth)
        v = flow_velocity(risk, norm, angle, depth)
        first = v.parallel if depth == 1 else v.norm / norm
        second = v.log_perp if depth == 1 else v.log_tan_half_angle
        # r' may pass 0 and the velocity's ell' is a difference: the error is relative to the parts of the sum, c each
        unit = risk.pull * depth * norm ** (1 - 2 / depth)
        assert (np.abs(field[:, 0] - first) < 1e-14 * (risk.pull if depth == 1 else unit)).all()
        assert (np.abs(field[:, 1] - second) < 1e-14 * unit).all()
        assert batch.shape == (60,)


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("depth", DEPTHS)
def test_the_velocity_is_that_of_the_cartesian_equation(risk_of, depth, noise):
    # w' = -r^(2-2/N) (grad L + (N-1) <grad L, w/r> w/r), equation 7
    risk = risk_of("sphere3", noise)
    generator = np.random.default_rng(6)
    for _ in range(40):
        w, v = generator.standard_normal((2, 3))
        w *= np.exp(generator.uniform(-3, 3))
        v /= np.linalg.norm(v)
        r = np.linalg.norm(w)
        u = w / r
        gradient = risk.gradient(w, v)
        velocity = -(r ** (2 - 2 / depth)) * (gradient + (depth - 1) * (gradient @ u) * u)
        start = fs.Start.from_vectors(w, v)
        found = flow_velocity(risk, start.norm, start.angle, depth)
        q, angle = w @ v, float(start.angle)
        perp = w - q * v
        z = np.linalg.norm(perp)
        expected = {
            "norm": velocity @ u,
            "angle": -(velocity @ v - (velocity @ u) * (u @ v)) / (r * np.sin(angle)),
            "log_tan_half_angle": -(velocity @ v - (velocity @ u) * (u @ v)) / (r * np.sin(angle) ** 2),
            "parallel": velocity @ v,
            "log_perp": (velocity - (velocity @ v) * v) @ perp / z**2,
        }
        size = np.linalg.norm(velocity)
        for field, value in expected.items():
            unit = {"norm": size, "parallel": size, "angle": size / r, "log_tan_half_angle": size / z, "log_perp": size / z}[field]
            # Cartesian sums cancel at the level of eps |w'|, divided by what the coordinate divides by
            assert abs(float(getattr(found, field)) - value) < 1e-13 * unit / np.sin(angle), (field, depth)


@pytest.mark.parametrize("angle", [1e-300, 1e-20, 1e-8, 3.14159, float(np.nextafter(np.pi, 0))])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_nothing_cancels_next_to_the_two_rays(gaussian, angle, noise):
    risk = fs.PopulationRisk(gaussian.law, noise)
    with mp.workdps(60):
        for norm in (1e-6, 1.0, 1e6):
            h, c = mp.mpf(float(risk.growth(norm))), mp.mpf(risk.pull)
            drag, p = mp.mpf(float(risk.drag(norm))), mp.mpf(risk.signal)
            theta, r = mp.mpf(angle), mp.mpf(norm)
            gap = 2 * mp.sin(theta / 2) ** 2
            for depth in (1, 3, 100):
                _, field = field_at(risk, norm, angle, depth)
                g = h - c * gap - (c - p) * (1 - gap)
                turning = mp.exp(mp.log(r) * (1 - mp.mpf(2) / depth))
                if depth == 1:
                    # q' = c (1-cos) + h cos - (c-p), ell' = -D
                    truth = c * gap + h * (1 - gap) - (c - p), -drag / r
                    room = (float(c * gap + h + c - p), float(drag / r))
                else:
                    truth = depth * turning * g, -p * turning
                    room = (float(depth * turning * (h + c * gap + c - p)), float(p * turning))
                for i in (0, 1):
                    # a few roundings of the terms that are summed; turning is exp of a number up to 14
                    assert abs(float(mp.mpf(float(field[0, i])) - truth[i])) < 1e-14 * room[i], (norm, depth, i)


def test_on_the_rays_the_second_coordinate_rests(gaussian):
    for angle in (0.0, np.pi):
        for depth in DEPTHS:
            batch, field = field_at(gaussian, 0.7, angle, depth)
            assert batch.network.ray == (1.0 if angle == 0.0 else -1.0)
            assert field[0, 1] == 0.0
            cos = 1.0 if angle == 0.0 else -1.0
            rate = float(gaussian.growth(0.7)) - gaussian.pull * (1 - cos)
            expected = rate * cos if depth == 1 else depth * 0.7 ** (1 - 2 / depth) * rate
            assert field[0, 0] == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("depth", [1, 3])
def test_the_field_differentiates_to_its_differences(gaussian, depth):
    # implicit solvers take the Jacobian by automatic differentiation
    batch = make_batch(gaussian, fs.Start(2.0, 1.5), depth)
    with jax.enable_x64(True):
        network = jax.tree.map(lambda x: jnp.asarray(x[0]), batch.network)
        y = jnp.asarray([0.3, -0.2])
        jacobian = np.asarray(jax.jacfwd(lambda at: flow_field(batch.tables, network, at))(y))
        pairs = [(flow_field(batch.tables, network, y + e), flow_field(batch.tables, network, y - e)) for e in 1e-5 * np.eye(2)]
        differences = np.stack([(np.asarray(up) - np.asarray(down)) / 2e-5 for up, down in pairs], axis=1)
    # second-order difference: 1e-10 of the third derivative, rounding 1e-11
    np.testing.assert_allclose(jacobian, differences, atol=1e-8)


def test_the_field_with_the_wrong_depth_is_seen(gaussian):
    _, field = field_at(gaussian, np.array([0.7]), 1.0, 3)
    v = flow_velocity(gaussian, 0.7, 1.0, 4)
    assert abs(field[0, 0] / float(v.norm / 0.7) - 1) > 0.1


@pytest.mark.parametrize(
    ("norm", "angle", "depth", "message"),
    [
        (-1.0, 1.0, 1, r"`norm` must be positive"),
        (1.0, 4.0, 1, r"`angle` must be in"),
        (1.0, 1.0, 0, r"`depth` must be a whole number from 1 to 100, but is 0"),
        (1.0, 1.0, 101, r"`depth` must be a whole number from 1 to 100, but is 101"),
    ],
)
def test_the_velocity_refuses_bad_points(gaussian, norm, angle, depth, message):
    with pytest.raises(ValueError, match=message):
        flow_velocity(gaussian, norm, angle, depth)
