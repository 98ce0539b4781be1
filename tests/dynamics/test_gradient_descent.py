"""Gradient descent against full matrices, Euler steps, fifty-digit arithmetic and plain loops in logarithms."""

import diffrax
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import flowsim as fs
from flowsim.dynamics.descent import log_steps
from flowsim.dynamics.network import force, make_batch


def matrices(risk, depth, width, norm, angle, etas, seed=0):
    """|w|, s, side and the sign of a^(N-1) of every iterate of N full matrices W_1 (width x d), ..., W_N (1 x width)."""
    generator = np.random.default_rng(seed)
    d = risk.law.dim
    v, other = np.linalg.qr(generator.standard_normal((d, 2)))[0].T
    direction = np.cos(angle) * v + np.sin(angle) * other
    units = [u / np.linalg.norm(u) for u in generator.standard_normal((depth - 1, width))]
    size = norm ** (1 / depth)
    rows, columns = [*units, np.ones(1)], [direction, *units]
    layers = [size * np.outer(row, column) for row, column in zip(rows, columns, strict=True)]
    out = []
    for eta in [*etas, 0.0]:
        before = [np.eye(d)]
        for layer in layers:
            before.append(layer @ before[-1])
        after = [np.eye(1)]
        for layer in reversed(layers):
            after.append(after[-1] @ layer)
        w = before[-1].ravel()
        parallel, across = w @ v, w @ other
        if np.linalg.norm(w) > 1e7:
            break
        assert np.linalg.norm(w - parallel * v - across * other) <= 1e-12 * np.linalg.norm(w)
        s = np.log(np.abs(across) / (np.linalg.norm(w) + np.abs(parallel))) * np.sign(parallel)
        sign = np.sign(after[depth - 1] @ rows[0])[0] if depth > 1 else 1.0
        out.append((np.linalg.norm(w), s, np.sign(across), sign))
        gradient = risk.gradient(w, v)
        layers = [layer - eta * np.outer(after[depth - 1 - j], before[j] @ gradient) for j, layer in enumerate(layers)]
    return tuple(np.array(column) for column in zip(*out, strict=True))


CASES = [
    # depth, width, norm, angle, step size, steps
    (1, 1, 1.0, 1.5, 0.3, 60),
    (1, 1, 0.3, 3.0, 30.0, 40),
    (2, 1, 1.0, 1.5, 0.3, 40),
    (2, 3, 1.0, 2.5, 4.0, 30),
    (2, 8, 0.5, 3.0, 7.0, 30),
    (2, 3, 2.0, 3.0, 12.0, 25),
    (3, 3, 1.0, 2.0, 0.5, 40),
    (3, 1, 1.5, 2.8, 4.0, 20),
    (3, 8, 1.0, 1.0, 6.0, 20),
    (4, 8, 1.2, 2.5, 0.2, 40),
    (4, 3, 1.0, 2.9, 4.0, 15),
    (4, 1, 0.9, 2.9, 7.0, 15),
    (5, 3, 1.0, 1.5, 0.5, 25),
    (5, 8, 1.3, 2.0, 3.0, 12),
]


def usable(norm, s, limit=14.0):
    """Iterates before doubles lose the direction of the matrices (|s| above 14: 1e-6 of angle, 1e-10 of that) or the norm explodes."""
    bad = (np.abs(s) > limit) | (norm > 1e6) | (norm < 1e-6)
    return int(np.flatnonzero(bad)[0]) if bad.any() else norm.size


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"N={c[0]}-width={c[1]}-eta={c[4]:g}-theta={c[3]:g}")
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_two_numbers_step_like_full_matrices(risk_of, case, noise):
    depth, width, start_norm, angle, eta, steps = case
    risk = risk_of("sphere3", noise)
    norm, s, side, _ = matrices(risk, depth, width, start_norm, angle, [eta] * steps)
    run = fs.gradient_descent(risk, fs.Start(start_norm, angle), eta, np.arange(steps + 1), depth)
    n = usable(norm, s)
    assert n >= 4
    # rounding of the matrices, 1e-16 at the start, grows by the largest sharpness of a step, up to 1e5 in these runs
    np.testing.assert_allclose(run.norm[:n], norm[:n], rtol=1e-9)
    np.testing.assert_allclose(run.log_tan_half_angle[:n], s[:n], rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(run.side[:n], side[:n])


def test_the_cases_turn_signs_over(sphere3):
    """What the comparison above is worth: a^(N-1) < 0, sides that change and a predictor that turns round occur in it."""
    negative, crossed, obtuse = set(), set(), set()
    for depth, width, norm, angle, eta, steps in CASES:
        size, s, side, sign = matrices(sphere3, depth, width, norm, angle, [eta] * steps)
        n = usable(size, s)
        if (sign[:n] < 0).any():
            negative.add(depth)
        if (side[:n] < 0).any():
            crossed.add(depth)
        if (s[:n] > 0).any() and (s[:n] < 0).any():
            obtuse.add(depth)
    assert {2, 4} <= negative, negative
    assert {1, 2, 3} <= crossed, crossed
    assert {1, 2, 3} <= obtuse, obtuse


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_schedules_step_like_full_matrices(sphere3, depth):
    generator = np.random.default_rng(4)
    k = np.arange(30)
    # the sequences of Theorems 2 to 4: falling, summable or not, and anything between two bounds
    for etas in (1 / (k + 1.0), 0.9**k, 2 / np.sqrt(k + 1.0), generator.uniform(0.05, 1.5, 30)):
        norm, s, side, _ = matrices(sphere3, depth, 3, 0.8, 2.6, etas)
        run = fs.gradient_descent(sphere3, fs.Start(0.8, 2.6), fs.Schedule(etas), np.arange(31), depth)
        n = usable(norm, s)
        np.testing.assert_allclose(run.norm[:n], norm[:n], rtol=1e-11)
        np.testing.assert_allclose(run.log_tan_half_angle[:n], s[:n], rtol=1e-10, atol=1e-10)
        np.testing.assert_array_equal(run.side[:n], side[:n])
        np.testing.assert_allclose(run.time, np.concatenate([[0.0], np.cumsum(etas)]), rtol=1e-15)
        assert run.step_size is None


def test_one_layer_steps_are_euler_steps(gaussian):
    eta, steps, start = 0.7, 200, fs.Start(0.5, 2.9)
    batch = make_batch(gaussian, start, 1)
    with jax.enable_x64(True):
        network = jax.tree.map(lambda x: jnp.asarray(x[0]), batch.network)

        def field(_, w, __):
            ratio = force(batch.tables, network, jnp.hypot(w[0], w[1])).ratio
            return jnp.stack([network.signal - ratio * w[0], -ratio * w[1]])

        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Euler(),
            t0=0.0,
            t1=eta * steps,
            dt0=eta,
            y0=0.5 * jnp.asarray([jnp.cos(2.9), jnp.sin(2.9)]),
            saveat=diffrax.SaveAt(steps=True),
            max_steps=steps + 1,
        )
        q, z = np.asarray(solution.ys)[:steps].T
    run = fs.gradient_descent(gaussian, start, eta, np.arange(1, steps + 1), 1)
    # t1/dt0 leaves Euler's steps right to 1e-15 each
    np.testing.assert_allclose(run.norm, np.hypot(q, z), rtol=1e-12)
    np.testing.assert_allclose(
        run.log_tan_half_angle, np.sign(q) * np.log(np.abs(z) / (np.hypot(q, z) + np.abs(q))), rtol=1e-11, atol=1e-12
    )


def _sphere3_growth(r):
    """h of |x_1| uniform on (0, 1)."""
    risk = (mp.pi**2 / 12 + mp.polylog(2, -mp.exp(-r))) / r
    return (risk - mp.log1p(mp.exp(-r))) / r


def in_many_digits(depth, norm, angle, eta, steps, every):
    """(log |w|, s, side) of the map on (a, z) in the present precision of mpmath, every so many steps."""
    c = mp.mpf(1) / 4
    size = mp.mpf(norm) ** (mp.mpf(1) / depth)
    a = size if depth > 1 else mp.mpf(1)
    q, z = size * mp.cos(mp.mpf(angle)), size * mp.sin(mp.mpf(angle))
    out = []
    for k in range(steps + 1):
        u = a ** (depth - 1)
        w = (u * q, u * z)
        r = mp.hypot(*w)
        if k % every == 0:
            s = mp.log(abs(w[1]) / (r + abs(w[0]))) * (1 if w[0] > 0 else -1)
            out.append((mp.log(r), s, mp.sign(w[1])))
        drag = (c - _sphere3_growth(r)) / r
        g = (drag * w[0] - c, drag * w[1])
        along = g[0] * q + g[1] * z
        q, z = q - mp.mpf(eta) * u * g[0], z - mp.mpf(eta) * u * g[1]
        if depth > 1:
            a -= mp.mpf(eta) * a ** (depth - 2) * along
    return np.array(out, dtype=object).T


@pytest.mark.parametrize(
    ("depth", "eta", "steps"),
    # 2: s falls by log 0.1 a step, past exp(-745) at k = 324; 1: sharpness up to 0.9; 3: past sigma = 1, where one step takes e^-5
    [(2, 3.6, 400), (1, 11.0, 300), (3, 2.0, 400)],
)
def test_runs_match_fifty_digits_also_where_doubles_underflow(sphere3, depth, eta, steps):
    with mp.workdps(50):
        log_norm, s, side = in_many_digits(depth, 1.0, 1.5, eta, steps, 20)
    run = fs.gradient_descent(sphere3, fs.Start(1.0, 1.5), eta, np.arange(0, steps + 1, 20), depth)
    # every step rounds once or twice at 1e-16 and the norm contracts errors
    np.testing.assert_allclose(run.log_norm, log_norm.astype(float), atol=1e-12, rtol=0)
    np.testing.assert_allclose(run.log_tan_half_angle, s.astype(float), rtol=1e-12, atol=1e-11)
    np.testing.assert_array_equal(run.side, side.astype(float))
    if depth == 2:
        assert run.log_tan_half_angle[-1] < -800


def in_logarithms(risk, depth, norm, s, eta, steps):
    """(log |w|, log |z_perp|, sign, a, q) of the aligned run by a plain loop, the perpendicular part as a sum of logarithms."""
    size = norm ** (1 / depth)
    a, q = (size if depth > 1 else 1.0), size * -np.tanh(s)
    log_z, sign = np.log(size) - np.log(np.cosh(s)), 1.0
    c, out = risk.pull, []
    for _ in range(steps + 1):
        u = a ** (depth - 1)
        z = np.exp(log_z) if log_z > -745 else 0.0
        length = np.hypot(q, z)
        r = u * length
        out.append((np.log(r), log_z - np.log(length + q), sign))
        h, drag = float(risk.growth(r)), float(risk.drag_ratio(r))
        gap = z * z / (length * (length + q))
        factor = 1 - eta * u * u * drag
        log_z, sign = log_z + np.log(abs(factor)), sign * np.sign(factor)
        q, a = q + eta * u * (c * gap + h * q / length), (a + eta * a ** (depth - 2) * length * (h - c * gap) if depth > 1 else a)
    return np.array(out).T


def test_the_direction_of_one_layer_is_a_sum_of_logarithms_far_below_the_doubles(sphere3):
    steps = 20_000
    log_norm, s, side = in_logarithms(sphere3, 1, 1.0, -0.1, 11.0, steps)
    run = fs.gradient_descent(sphere3, fs.Start(1.0, 2 * np.arctan(np.exp(-0.1))), 11.0, np.arange(0, steps + 1, 1000), 1)
    # 2e4 sums that round at 1e-13 each
    np.testing.assert_allclose(run.log_tan_half_angle, s[::1000], rtol=1e-10)
    np.testing.assert_allclose(run.log_norm, log_norm[::1000], atol=1e-11)
    np.testing.assert_array_equal(run.side, side[::1000])
    assert run.log_tan_half_angle[-1] < -800


def test_a_delayed_burst_comes_back_from_below_the_doubles(sphere3):
    depth, eta, steps = 3, 1.0, 32_000
    start = fs.Start(1.0, 2 * np.arctan(np.exp(-0.1)))
    run = fs.gradient_descent(sphere3, start, eta, np.arange(0, steps + 1, 100), depth)
    lowest = int(run.log_tan_half_angle[:120].argmin())
    assert run.log_tan_half_angle[lowest] < -745, "the direction never leaves the doubles"
    back = int(np.flatnonzero(run.log_tan_half_angle[lowest:] > -30)[0]) + lowest
    log_norm, s, side = (column[::100] for column in in_logarithms(sphere3, depth, 1.0, -0.1, eta, 100 * back))
    # until the burst the direction feeds nothing back; 1e4 logarithms near 1 - sigma = 0 and below 1e4 are summed
    np.testing.assert_allclose(run.log_norm[:back], log_norm[:back], atol=1e-10)
    np.testing.assert_allclose(run.log_tan_half_angle[:back], s[:back], atol=1e-6)
    np.testing.assert_array_equal(run.side[:back], side[:back])
    # integral from 0 to Sigma of log|1-x| x^4 dx = 0: the burst comes at sigma = eta c r^(1/3) near the root
    with mp.workdps(20):
        root = mp.findroot(lambda top: mp.quad(lambda x: mp.log(abs(1 - x)) * x**4, [0, 1, top]), 2.5)
    sigma = eta * sphere3.pull * np.exp(run.log_norm[back] / 3)
    assert sigma == pytest.approx(float(root), rel=0.01), (sigma, root)


def test_two_layers_shrink_by_exactly_one_minus_eta_c(sphere3):
    for eta in (0.5, 3.0, 5.0):
        run = fs.gradient_descent(sphere3, fs.Start(3.0, 0.5), eta, [10_000, 20_000, 40_000], 2)
        # s ~ k log|1 - eta c|; the first steps leave |z|^2 - a^2 of order 1 beside |z|^2 = r of order 100, which wanes like k^(-1/2)
        slope = np.diff(run.log_tan_half_angle) / np.diff([10_000, 20_000, 40_000])
        assert slope == pytest.approx(np.log(abs(1 - eta * 0.25)), rel=5e-3)
        # an even number of steps, each over v where eta c > 1
        assert (run.side == 1.0).all()


def test_one_layer_converges_for_a_large_step(gaussian):
    run = fs.gradient_descent(gaussian, fs.Start(1.0, 3.0), 1e3, 100_000, 1)
    assert run.ok
    assert run.log_tan_half_angle[-1] < -100


def test_a_batch_is_its_single_runs(sphere3):
    norm, angle, depth, eta = [0.5, 2.0], [[1.0], [3.0]], [[[1]], [[4]]], np.array([[[[0.1]]], [[[2.0]]]])
    batch = fs.gradient_descent(sphere3, fs.Start(norm, angle), eta, [1, 7, 30], depth)
    assert batch.shape == (2, 2, 2, 2)
    assert batch.time.shape == (2, 2, 2, 2, 3)
    for h, i, j, k in np.ndindex(2, 2, 2, 2):
        single = fs.gradient_descent(sphere3, fs.Start(norm[k], angle[j][0]), float(eta[h, 0, 0, 0]), [1, 7, 30], depth[i][0][0])
        one = batch[h, i, j, k]
        # the two loops are compiled apart: rounding, times the growth of errors over 30 steps
        np.testing.assert_allclose(one.log_norm, single.log_norm, atol=1e-12, rtol=1e-12)
        np.testing.assert_allclose(one.log_tan_half_angle, single.log_tan_half_angle, rtol=1e-11, atol=1e-12)
        np.testing.assert_array_equal(one.side, single.side)
        np.testing.assert_array_equal(one.time, single.time)
        assert one.status == single.status


def test_steps_taken_together_are_steps_taken_apart(sphere3):
    often = fs.gradient_descent(sphere3, fs.Start(1.0, 2.5), 0.3, np.arange(501), 3)
    rarely = fs.gradient_descent(sphere3, fs.Start(1.0, 2.5), 0.3, [500], 3)
    assert often.log_norm[-1] == rarely.log_norm[-1]
    assert often.log_tan_half_angle[-1] == rarely.log_tan_half_angle[-1]


@pytest.mark.parametrize(("norm", "angle", "eta", "depth"), [(5.0, 2.0, 10.0, 5), (1e3, 2.5, 10.0, 4)])
def test_a_run_out_of_the_double_range_says_overflow(gaussian, norm, angle, eta, depth):
    run = fs.gradient_descent(gaussian, fs.Start(norm, angle), eta, 200, depth)
    assert run.status == "overflow"
    assert not run.ok
    assert "smaller step size" in run.message
    gone = np.isnan(run.log_norm)
    assert gone[-1]
    assert not gone[0]
    # once out, out
    assert (np.diff(gone.astype(int)) >= 0).all()
    with pytest.raises(RuntimeError, match="no rate"):
        run.local_exponent()


@pytest.mark.parametrize("eta", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("steps", [4000, 100_000])
def test_two_layers_on_the_opposite_ray_end_in_the_saddle_however_it_is_recorded(gaussian, eta, steps):
    run = fs.gradient_descent(gaussian, fs.Start(1.0, np.pi), eta, round(steps / eta), 2)
    # |w| falls by (1 - eta c)^2 a step: past exp(-690) near t = 900
    assert run.status == "saddle", run.message
    assert run.ok


def test_the_opposite_ray_of_two_layers_decays_by_the_map(gaussian):
    eta = 0.5
    run = fs.gradient_descent(gaussian, fs.Start(1e-9, np.pi), eta, [100, 200, 300], 2)
    # at |w| < 1e-9 the map is linear: both factors shrink by 1 - eta c
    np.testing.assert_allclose(np.diff(run.log_norm), 200 * np.log1p(-eta * gaussian.pull), rtol=1e-9)
    assert (run.log_tan_half_angle == np.inf).all()


def test_one_layer_on_the_opposite_ray_crosses_and_grows(gaussian):
    run = fs.gradient_descent(gaussian, fs.Start(1.0, np.pi), 0.1, np.arange(200), 1)
    q, path = -1.0, []
    for _ in range(200):
        path.append(q)
        q -= 0.1 * (np.sign(q) * float(gaussian.drag(abs(q))) - gaussian.pull)
    np.testing.assert_allclose(run.norm, np.abs(path), rtol=1e-10, atol=1e-14)
    np.testing.assert_array_equal(run.log_tan_half_angle, np.where(np.array(path) < 0, np.inf, -np.inf))
    assert run.status == "ok"


def test_records_are_spaced_in_log_k_and_end_with_the_last_step(gaussian):
    for last in (0, 1, 2, 10, 199, 200, 12_345, 10**6):
        record = log_steps(last)
        assert record[0] == 0
        assert record[-1] == last
        assert record.size <= 200
        assert (np.diff(record) > 0).all()
    assert log_steps(10**15)[-1] == 10**15
    assert log_steps(10**18).size <= 200
    run = fs.gradient_descent(gaussian, fs.Start(), 0.25, 1000)
    np.testing.assert_array_equal(run.step, log_steps(1000))
    np.testing.assert_array_equal(run.time, 0.25 * log_steps(1000))


def test_step_zero_is_the_start(gaussian):
    for depth in (1, 4):
        run = fs.gradient_descent(gaussian, fs.Start(2.0, 2.5), 0.1, 0, depth)
        # exp(log r / N)^N: a few ulps
        assert float(run.norm[0]) == pytest.approx(2.0, rel=1e-14)
        assert float(run.angle[0]) == pytest.approx(2.5, rel=1e-14)
        assert run.side[0] == 1.0


PLAIN = {"start": fs.Start(), "step_size": 0.1, "steps": 3}
BAD = [
    ({"step_size": 0.0}, r"`step_size` must be positive and finite, but is 0"),
    ({"step_size": -0.1}, r"`step_size` must be positive and finite, but is -0.1"),
    ({"step_size": np.nan}, r"`step_size` must be positive and finite, but is nan"),
    ({"step_size": [0.1, np.inf]}, r"`step_size` must be positive and finite, but is inf"),
    ({"step_size": "small"}, r"`step_size` must be a number or an array of numbers, but is 'small'"),
    ({"steps": -1}, r"`steps` must be a whole number, 0 or more, but is -1"),
    ({"steps": 1.5}, r"`steps` must be a whole number, 0 or more, but is 1.5"),
    ({"steps": True}, r"`steps` must be a whole number, 0 or more, but is True"),
    ({"steps": [1, 3, 3]}, r"`steps` must increase strictly, but 3 is followed by 3"),
    ({"steps": [[1], [2]]}, r"`steps` must be a number or one-dimensional, but has shape \(2, 1\)"),
    ({"steps": []}, r"`steps` must"),
    ({"depth": 0}, r"`depth` must be a whole number from 1 to 100, but is 0"),
    ({"depth": 2.5}, r"`depth` must be a whole number from 1 to 100, but is 2.5"),
    ({"depth": 101}, r"`depth` must be a whole number from 1 to 100, but is 101"),
    ({"depth": True}, r"`depth` must be a whole number from 1 to 100, but is True"),
    ({"method": "exakt"}, r"`method` must be one of auto, exact, but is 'exakt'; did you mean 'exact'\?"),
    ({"step_size": [0.1, 0.2], "depth": [1, 2, 3]}, r"must broadcast"),
]


@pytest.mark.parametrize("index", range(len(BAD)), ids=lambda i: f"{i}-{next(iter(BAD[i][0]))}")
def test_bad_input_is_refused_by_name(gaussian, index):
    change, message = BAD[index]
    with pytest.raises(ValueError, match=message):
        fs.gradient_descent(gaussian, **{**PLAIN, **change})


def test_a_schedule_shorter_than_the_run_is_refused(gaussian):
    with pytest.raises(ValueError, match=r"`steps` must be at most 2, the length of the schedule, but is 3"):
        fs.gradient_descent(gaussian, fs.Start(), fs.Schedule([0.1, 0.2]), 3)
    assert fs.gradient_descent(gaussian, fs.Start(), fs.Schedule([0.1, 0.2]), 2).ok


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([0.1, 0.0], r"`sizes` must be positive and finite, but is 0"),
        ([0.1, np.nan], r"`sizes` must be positive and finite, but is nan"),
        ([], r"`sizes` must hold at least one number, but is empty"),
        ([[0.1]], r"`sizes` must be one-dimensional, but has shape \(1, 1\)"),
    ],
)
def test_what_is_no_schedule_is_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        fs.Schedule(sizes)
