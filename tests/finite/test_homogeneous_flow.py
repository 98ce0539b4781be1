"""The flow of log L against closed forms to log t = 1e5, and against plain time where that can go."""

import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import flowsim as fs
from flowsim.finite import TrainingSet, deep_linear, homogeneous_flow, leaky_relu_network, squared_relu_network

ACCURACY = 1e-9
"""Of log |W|, log L relatively, and of W/|W|: rtol = 1e-11 a step, over some hundred steps that feel each other little."""
FAR = np.array([-5.0, 0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 1e3, 1e4, 1e5])


def log_distance(run, w: np.ndarray) -> tuple[float, float]:
    """The largest gap of log |W|, and of W/|W|, to W, (T, P)."""
    norm = np.linalg.norm(w, axis=1)
    return float(np.abs(run.log_norm - np.log(norm)).max()), float(np.linalg.norm(run.direction - w / norm[:, None], axis=1).max())


# --- closed forms ---


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_one_sample_has_a_closed_form(loss: str) -> None:
    """q' = |x|^2 exp(-q): exp(q) = exp(q_0) + |x|^2 t;  q' = |x|^2/(1 + exp(q)):

    q + exp(q) = q_0 + exp(q_0) + |x|^2 t. w rests across x."""
    x, w0 = np.array([3.0, 4.0]), np.array([-0.5, 0.6])
    data = TrainingSet([-x], [-1])
    run = homogeneous_flow(deep_linear(dim=2), data, [w0[None]], FAR, loss=loss)
    q0, size = float(w0 @ x), float(x @ x)
    grown = q0 if loss == "exponential" else np.log(q0 + np.exp(q0))
    log_total = np.logaddexp(grown, np.log(size) + FAR)
    q = log_total.copy()
    if loss == "logistic":
        for _ in range(200):
            # q = log(T - q), from above; the slope of the map is -1/(T - q), which Newton takes into account
            left = np.maximum(1.0 - q * np.exp(-log_total), 1e-3)
            slope = np.exp(-log_total) / left
            q = q - (q - log_total - np.log(left)) / (1.0 + slope)
    w = w0 + ((q - q0) / size)[:, None] * x
    assert max(log_distance(run, w)) < ACCURACY
    log_loss = -q if loss == "exponential" else np.where(q > 30.0, -q, np.log(np.log1p(np.exp(-np.minimum(q, 40.0)))))
    np.testing.assert_allclose(run.log_loss, log_loss, rtol=ACCURACY, atol=ACCURACY)
    # in the plane the path is the angle turned through, and W ends along x
    angle = np.arctan2(w[:, 1] * x[0] - w[:, 0] * x[1], w @ x)
    first = np.arctan2(w0[1] * x[0] - w0[0] * x[1], w0 @ x)
    np.testing.assert_allclose(run.path_length, first - angle, atol=ACCURACY)
    np.testing.assert_allclose(run.alignment_gap, 2.0 * np.sin(angle / 2.0) ** 2, rtol=1e-4, atol=1e-13)
    np.testing.assert_allclose(run.margins[:, 0], q / np.linalg.norm(w, axis=1), rtol=ACCURACY)


def test_two_samples_in_mirror_images_have_one() -> None:
    """Of (b, b) and (b, -b): coth(b v) = coth(b v_0) + b^2 exp(-b u_0) t/sinh(b v_0), and u + log sinh(b v)/b is conserved."""
    b, u0, v0 = 1.3, -0.4, 0.7
    run = homogeneous_flow(deep_linear(dim=2), TrainingSet([[b, b], [-b, b]], [1, -1]), [np.array([[u0, v0]])], FAR)
    log_coth = np.logaddexp(-np.log(np.tanh(b * v0)), 2.0 * np.log(b) - b * u0 - np.log(np.sinh(b * v0)) + FAR)
    # sinh^2 = 1/(coth^2 - 1)
    log_sinh = -log_coth - 0.5 * np.log1p(-np.exp(-2.0 * log_coth))
    w = np.stack([u0 - (log_sinh - np.log(np.sinh(b * v0))) / b, np.arcsinh(np.exp(log_sinh)) / b], axis=1)
    assert max(log_distance(run, w)) < ACCURACY
    # both push alike in the end
    np.testing.assert_allclose(run.weights[-1], 0.5, atol=1e-8)
    np.testing.assert_allclose(run.distance_to([1.0, 0.0]), 1.0 - w[:, 0] / np.linalg.norm(w, axis=1), atol=1e-9)


def test_two_layers_of_one_unit_have_one() -> None:
    """Balanced, of order 2: q' = 2 x q exp(-q), so that Ei(q) = Ei(q_0) + 2 x t."""
    x, s = 1.7, 0.8
    run = homogeneous_flow(deep_linear(dim=1, depth=2, width=1), TrainingSet([[x]], [1]), [np.array([[s]]), np.array([[s]])], FAR)
    with mpmath.workdps(30):
        found, q0 = [], x * s * s
        for log_time in FAR:
            total = mpmath.log(mpmath.ei(q0) + 2.0 * x * mpmath.exp(log_time))
            bracket = (q0, 2.0 * total + 10.0)
            found.append(float(mpmath.findroot(lambda z, total=total: mpmath.log(mpmath.ei(z)) - total, bracket, solver="anderson")))
    np.testing.assert_allclose(run.log_loss, -np.array(found), rtol=ACCURACY)
    np.testing.assert_allclose(2.0 * run.log_norm, np.log(2.0 * np.array(found) / x), atol=ACCURACY)
    assert np.abs(run.path_length).max() < ACCURACY


def test_late_it_is_the_separator_times_log_t_and_a_constant() -> None:
    """Soudry et al.: w = u log t + w~ + o(1), u = sum of alpha_i p_i and exp(-<p_i, w~>) = n alpha_i over the two of least margin."""
    points = np.array([[2.0, 1.0], [1.0, -1.5], [5.0, 1.0]])
    log_times = np.array([100.0, 1e3, 1e4, 1e5])
    run = homogeneous_flow(deep_linear(dim=2), TrainingSet(points, [1, 1, 1]), [np.array([[0.3, -0.8]])], log_times)
    held = points[:2]
    alpha = np.linalg.solve(held @ held.T, np.ones(2))
    assert (alpha > 0.0).all()
    leading, offset = held.T @ alpha, np.linalg.solve(held, -np.log(3.0 * alpha))
    assert points[2] @ leading > 1.5
    w = np.exp(run.log_norm)[:, None] * run.direction
    # what the third sample adds is exp(-50) here, and w itself has rtol
    np.testing.assert_allclose(w, log_times[:, None] * leading + offset, rtol=ACCURACY)
    np.testing.assert_allclose(w[0] - 100.0 * leading, offset, atol=1e-6)
    size = float(leading @ leading)
    across = abs(leading[0] * offset[1] - leading[1] * offset[0]) / size
    np.testing.assert_allclose(np.sqrt(2.0 * run.distance_to(leading)) * log_times, across, rtol=0.05)
    np.testing.assert_allclose((np.sqrt(2.0 * run.distance_to(leading)) * log_times)[-1], across, rtol=1e-4)


# --- plain time ---

DATA = fs.finite.mixture(n=6, dim=3, signal=1.5, seed=3)
PLAIN = {
    "linear, 3 layers": (deep_linear(dim=3, depth=3, width=3), "exponential", 1e6),
    "squared ReLU": (squared_relu_network(dim=3, widths=[4]), "exponential", 1e6),
    "leaky ReLU": (leaky_relu_network(dim=3, widths=[4], slope=0.3), "logistic", 1e5),
}


def split(network, flat: np.ndarray) -> list[np.ndarray]:
    sizes = np.cumsum([a * b for a, b in network.shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(flat, sizes[:-1]), network.shapes, strict=True)]


def descent_of(network, flat: np.ndarray, x: np.ndarray, y: np.ndarray, loss: str) -> np.ndarray:
    """-grad L, by the chain rule in NumPy."""
    matrices, h = split(network, flat), [x]
    slopes = []
    for matrix in matrices[:-1]:
        z = h[-1] @ matrix.T
        if network.power == 2:
            h.append(np.maximum(z, 0.0) ** 2)
            slopes.append(2.0 * np.maximum(z, 0.0))
        else:
            h.append(np.where(z > 0.0, z, network.slope * z))
            slopes.append(np.where(z > 0.0, 1.0, network.slope))
    q = y * (h[-1] @ matrices[-1].T)[:, 0]
    push = np.exp(-q) if loss == "exponential" else 1.0 / (1.0 + np.exp(q))
    back, out = (y * push / y.size)[:, None], []
    for layer in range(len(matrices) - 1, -1, -1):
        out.append((back.T @ h[layer]).ravel())
        if layer:
            back = (back @ matrices[layer]) * slopes[layer - 1]
    return np.concatenate(out[::-1])


@pytest.fixture(scope="module")
def plain():
    """By name: times, our run, W and path by SciPy in t itself; each once."""
    made: dict[str, tuple] = {}

    def of(name: str):
        if name not in made:
            network, loss, last = PLAIN[name]
            start = network.start(seed=2)
            flat = np.concatenate([w.ravel() for w in start])
            times = np.geomspace(0.05, last, 9)

            def rate(_, state):
                w = state[:-1]
                v = descent_of(network, w, DATA.x, DATA.y, loss)
                size = w @ w
                return np.append(v, np.sqrt(max(v @ v - (v @ w) ** 2 / size, 0.0) / size))

            found = solve_ivp(rate, (0.0, last), np.append(flat, 0.0), method="DOP853", rtol=1e-12, atol=1e-13, t_eval=times)
            assert found.success
            run = homogeneous_flow(network, DATA, start, np.log(times), loss=loss, rounding=0.0)
            run.require_ok()
            made[name] = (network, loss, run, found.y[:-1].T, found.y[-1])
        return made[name]

    return of


@pytest.mark.parametrize("name", PLAIN)
def test_it_is_the_flow_in_plain_time(name: str, plain) -> None:
    network, loss, run, w, path = plain(name)
    assert max(log_distance(run, w)) < 1e-8, log_distance(run, w)
    # where v is along W, sqrt(v^2 - (v u)^2) has half the digits
    np.testing.assert_allclose(run.path_length, path, atol=1e-7)
    q = np.stack([DATA.y * network.value(split(network, point), DATA.x) for point in w])
    losses = np.exp(-q) if loss == "exponential" else np.log1p(np.exp(-q))
    np.testing.assert_allclose(run.log_loss, np.log(losses.mean(axis=1)), atol=1e-7)
    down = np.stack([descent_of(network, point, DATA.x, DATA.y, loss) for point in w])
    cosine = (down * w).sum(axis=1) / np.linalg.norm(down, axis=1) / np.linalg.norm(w, axis=1)
    np.testing.assert_allclose(run.alignment_gap, 1.0 - cosine, atol=1e-7)
    assert run.separated[-1]
    assert not run.separated[0]
    np.testing.assert_allclose(run.margins, q / np.linalg.norm(w, axis=1)[:, None] ** network.order, atol=1e-7)


def test_kinks_were_crossed(plain) -> None:
    """Or the last test would say little of them."""
    network, _, _, w, _ = plain("leaky ReLU")
    signs = np.array([np.sign(DATA.x @ split(network, point)[0].T) for point in w])
    assert np.count_nonzero(signs[0] != signs[-1]) >= 2


def test_a_path_is_the_length_of_its_chords(plain) -> None:
    """By the run's own directions, between records close enough: chords fall short by their cube, a 24th of it on a circle."""
    network, loss, run, _, _ = plain("squared ReLU")
    times = np.linspace(run.log_time[3], run.log_time[5], 401)
    fine = homogeneous_flow(network, DATA, network.start(seed=2), times, loss=loss, rounding=0.0)
    chords = np.linalg.norm(np.diff(fine.direction, axis=0), axis=1).sum()
    half = np.linalg.norm(np.diff(fine.direction[::2], axis=0), axis=1).sum()
    length = fine.path_length[-1] - fine.path_length[0]
    assert chords + (chords - half) / 3.0 == pytest.approx(length, rel=1e-7)
    assert chords < length


def test_a_finer_tolerance_is_nearer(plain) -> None:
    network, loss, run, w, _ = plain("squared ReLU")
    gaps = []
    for rtol in (1e-4, 1e-6, 1e-8):
        rough = homogeneous_flow(network, DATA, network.start(seed=2), run.log_time, loss=loss, rounding=0.0, rtol=rtol)
        gaps.append(max(log_distance(rough, w)))
    # where the second derivative jumps, at a kink, the order is not what it is elsewhere
    assert gaps[0] > 20.0 * gaps[1], gaps
    assert gaps[0] < 1e-4, gaps
    assert gaps[1] < 1e-6, gaps
    assert gaps[2] < 1e-7, gaps


def test_another_solver_ends_at_the_same_place(plain) -> None:
    network, loss, run, w, _ = plain("squared ReLU")
    implicit = homogeneous_flow(network, DATA, network.start(seed=2), run.log_time, loss=loss, rounding=0.0, rtol=1e-9, solver="kvaerno5")
    assert implicit.config["solver"] == "diffrax.Kvaerno5"
    assert max(log_distance(implicit, w)) < 1e-6
