"""Claims about one step of descent: layers of matrices against the map on two numbers, and what the step does across v."""

from collections.abc import Callable

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.claims.units import risks_of, unit_norm, unit_step_size
from flowsim.dynamics import gradient_descent, gradient_flow
from flowsim.problem import Gaussian, PopulationRisk, Sphere, Start
from flowsim.theory.paper import FIGURE_1

Array = np.ndarray
LayerMap = Callable[[float, Array, Array, float, int], tuple[float, Array]]
"""(a, z, G, eta, N) -> (a, z) after one step, G = grad L(a^(N-1) z)."""


def layer_map(a: float, z: Array, gradient: Array, step_size: float, depth: int) -> tuple[float, Array]:
    """z - eta a^(N-1) G and a - eta a^(N-2) <G, z>."""
    layer = a - step_size * a ** (depth - 2) * float(gradient @ z) if depth > 1 else a
    return layer, z - step_size * a ** (depth - 1) * gradient


def end_to_end_step(a: float, z: Array, gradient: Array, step_size: float, depth: int) -> tuple[float, Array]:
    """A step of the same size along equation 7 for w = a^(N-1) z, with balanced layers again after it: not what the layers do."""
    w = a ** (depth - 1) * z
    r = float(np.linalg.norm(w))
    new = w - step_size * r ** (2.0 - 2.0 / depth) * (gradient + (depth - 1) * float(gradient @ w) / r**2 * w)
    size = float(np.linalg.norm(new))
    layer = size ** (1.0 / depth)
    return (layer if depth > 1 else a), new / size * (layer if depth > 1 else size)


def rank_one_layers(a: float, z: Array, units: list[Array]) -> list[Array]:
    """W_1 = u_2 z^T and W_j = a u_(j+1) u_j^T, u_(N+1) = 1.  units: u_2, ..., u_N."""
    rows = [*units, np.ones(1)]
    return [np.outer(rows[0], z), *(a * np.outer(above, below) for above, below in zip(rows[1:], rows, strict=False))]


def descend_layers(risk: PopulationRisk, v: Array, layers: list[Array], step_size: float) -> list[Array]:
    """W_j - eta (W_N...W_(j+1))^T grad L(w)^T (W_(j-1)...W_1)^T of every layer."""
    below, above = [np.eye(v.size)], [np.eye(1)]
    for layer in layers:
        below.append(layer @ below[-1])
    for layer in reversed(layers):
        above.append(above[-1] @ layer)
    gradient = risk.gradient(below[-1][0], v)
    count = len(layers)
    return [layer - step_size * np.outer(above[count - 1 - j], below[j] @ gradient) for j, layer in enumerate(layers)]


def _random_plane(rng: np.random.Generator, dim: int) -> tuple[Array, Array]:
    """Two orthonormal vectors, (dim,) each."""
    first, second = np.linalg.qr(rng.standard_normal((dim, 2)))[0].T
    return first, second


def _random_units(rng: np.random.Generator, depth: int, width: int) -> list[Array]:
    return [u / np.linalg.norm(u) for u in rng.standard_normal((depth - 1, width))]


def _apart(layer: Array, other: Array) -> float:
    """|layer - other|/|other|."""
    return float(np.linalg.norm(layer - other) / np.linalg.norm(other))


STEPS = 12
AMPLIFIED = 3e5
"""How often rounding may have been multiplied where matrices are still compared."""


def _map_gap(
    risk: PopulationRisk, depth: int, width: int, sharpness: float, rng: np.random.Generator, theory: LayerMap
) -> tuple[float, Array, Array]:
    """The largest relative gap of the matrices to the map and to `gradient_descent`; the norms of the matrices' w and of the map's."""
    v, other = _random_plane(rng, risk.law.dim)
    angle, norm = float(rng.uniform(0.3, 2.8)), unit_norm(risk) * float(rng.uniform(0.5, 2.0))
    size, eta = norm ** (1.0 / depth), sharpness * unit_step_size(risk, depth)
    units = _random_units(rng, depth, width)
    a, z = (size if depth > 1 else 1.0), size * (np.cos(angle) * v + np.sin(angle) * other)
    layers = rank_one_layers(a, z, units)
    run = gradient_descent(risk, Start(norm, angle), eta, np.arange(STEPS + 1), depth)
    norms, predicted, gap, amplified = [norm], [norm], 0.0, 1.0
    for k in range(1, STEPS + 1):
        before = layers
        with np.errstate(over="ignore", invalid="ignore"):
            a, z = theory(a, z, risk.gradient(a ** (depth - 1) * z, v), eta, depth)
            layers = descend_layers(risk, v, layers, eta)
            w = (layers[0] if depth == 1 else np.linalg.multi_dot(layers[::-1]))[0]
            r, across, ahead = float(np.linalg.norm(w)), float(w @ other), float(np.linalg.norm(np.float64(a) ** (depth - 1) * z))
            # a step multiplies what rounding has done by about the powers of a layer times how much it moves
            amplified *= 1.0 + depth * max(_apart(old, new) for old, new in zip(before, layers, strict=True))
        # beyond, doubles of the matrices no longer hold the direction
        if not amplified * r < AMPLIFIED * abs(across) or not 1e-4 * norm < r < 1e4 * norm:
            break
        if not 1e-8 * norm < ahead < 1e8 * norm:
            return np.inf, np.array(norms), np.array(predicted)
        apart = max(_apart(form, layer) for form, layer in zip(rank_one_layers(a, z, units), layers, strict=True))
        s = np.log(abs(across) / (r + abs(float(w @ v)))) * np.sign(float(w @ v))
        found = max(abs(float(np.expm1(run.log_norm[k] - np.log(r)))), abs(float(run.log_tan_half_angle[k] - s)))
        gap = max(gap, apart, found)
        norms.append(r)
        predicted.append(ahead)
    return gap, np.array(norms), np.array(predicted)


def _measure_map(setting: Setting, theory: LayerMap) -> Finding:
    rng, gaps = setting.generator(400), {}
    sketch = Sketch("step $k$", "norm $|w|$", y_log=True)
    for risk in risks_of(setting, Sphere(3), Gaussian(5)):
        for depth in setting.depths_or((1, 2, 3, 4)):
            for width in (1, 3) if depth > 1 else (1,):
                for sharpness in (0.3, 2.5):
                    gap, norms, predicted = _map_gap(risk, depth, width, sharpness, rng, theory)
                    gaps[f"{risk.label()}, N = {depth}, width {width}, eta c r^(1-2/N) = {sharpness:g}"] = gap
                    if len(sketch.curves) < 6 and width == (3 if depth > 1 else 1) and sharpness < 1.0:
                        sketch.measured(np.arange(norms.size), norms, f"$N={depth}$, matrices", points=True)
                        sketch.predicted(np.arange(norms.size), predicted)
    return finding_of_gaps(
        gaps,
        1e-9,
        "matrices stay of rank one and move by the map on (a, z); gradient_descent does the same",
        f"largest relative gap of layers, norm and s {{gap}} over {{count}} runs of up to {STEPS} steps",
        "1e-9: rounding, 1e-15, multiplied by the steps so far up to 3e5 times; beyond that matrices are not compared",
        "relative gap",
        sketch.done(),
    )


def multiplier(risk: PopulationRisk, a: float, z: Array, step_size: float, depth: int) -> float:
    """1 - eta |a^(N-1)| (c - h(r))/|z|, r = |a^(N-1)||z|."""
    return _multiplier(risk, a, z, step_size, abs(a ** (depth - 1)))


def signed_multiplier(risk: PopulationRisk, a: float, z: Array, step_size: float, depth: int) -> float:
    """1 - eta a^(N-1) (c - h(r))/|z|: wrong where a^(N-1) < 0."""
    return _multiplier(risk, a, z, step_size, a ** (depth - 1))


def _multiplier(risk: PopulationRisk, a: float, z: Array, step_size: float, power: float) -> float:
    length = float(np.linalg.norm(z))
    return 1.0 - step_size * power * float(risk.drag(abs(power) * length)) / length


def _measure_across(setting: Setting, theory: Callable[[PopulationRisk, float, Array, float, int], float]) -> Finding:
    rng, gaps, pairs = setting.generator(401), {}, []
    for risk in risks_of(setting, Sphere(3), Gaussian(5)):
        for depth in setting.depths_or((1, 2, 3, 4)):
            worst = 0.0
            for _ in range(200 if setting.thorough else 20):
                v, other = _random_plane(rng, risk.law.dim)
                angle, size = float(rng.uniform(0.1, 3.0)), unit_norm(risk) ** (1.0 / depth)
                a = float(rng.choice([-1.0, 1.0]) * size * rng.uniform(0.7, 1.4)) if depth > 1 else 1.0
                z = size * float(rng.uniform(0.7, 1.4)) * (np.cos(angle) * v + np.sin(angle) * other)
                eta = float(rng.uniform(0.1, 4.0)) * unit_step_size(risk, depth)
                units = _random_units(rng, depth, 2)
                first = descend_layers(risk, v, rank_one_layers(a, z, units), eta)[0]
                row = first[0] if depth == 1 else units[0] @ first
                found = float(row @ other / (z @ other))
                predicted = theory(risk, a, z, eta, depth)
                pairs.append((predicted, found))
                worst = max(worst, abs(found - predicted) / max(abs(found), 1.0))
            gaps[f"{risk.label()}, N = {depth}"] = worst
    sketch = Sketch("predicted multiplier", "multiplier of the part across $v$")
    ahead, found = np.array(pairs).T
    sketch.measured(ahead, found, "one step of the matrices", points=True)
    sketch.predicted(np.sort(ahead), np.sort(ahead), r"$1-\sigma$")
    return finding_of_gaps(
        gaps,
        1e-10,
        "one step multiplies the part of W_1 across v by 1 - eta |a^(N-1)| (c - h)/|z|, whatever the sign of a^(N-1)",
        f"largest gap {{gap}} over {len(pairs)} states of {{count}} laws and depths, half of them with a < 0",
        "1e-10: rounding; the sign of a^(N-1) would make 2 sigma",
        "gap of the multiplier",
        sketch.done(),
    )


ImbalanceRate = Callable[[PopulationRisk, Array, Array, int], Array]


def imbalance_rate(risk: PopulationRisk, norm: Array, sin_squared: Array, depth: int) -> Array:
    """c^2 r^(2-2/N) sin^2(theta): |z|^2 - a^2 grows by eta times this a unit of time."""
    return risk.pull**2 * norm ** (2.0 - 2.0 / depth) * sin_squared


PARTS = 6
"""Of the time, with 8 Gauss nodes each."""


def _integral(risk: PopulationRisk, start: Start, last: float, depth: int, rate: ImbalanceRate) -> float:
    """Of the rate along the flow, to t = ``last``."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    total, half = 0.0, 0.5 * last / PARTS
    for part in range(PARTS):
        flow = gradient_flow(risk, start, half * (nodes + 1.0 + 2.0 * part), depth, rtol=1e-12)
        flow.require_ok()
        total += half * float(weights @ rate(risk, flow.norm, flow.one_minus_cos * (2.0 - flow.one_minus_cos), depth))
    return total


def _measure_imbalance(setting: Setting, theory: ImbalanceRate) -> Finding:
    gaps = {}
    sketch = Sketch(r"step size $\eta$ over the last time $t$", r"$(|z|^2-a^2)/\eta$ over its limit", x_log=True)
    for risk in risks_of(setting, Sphere(2), Gaussian(3)):
        for depth in setting.depths_or((2, 3, 4), low=2):
            start, last = Start(unit_norm(risk), FIGURE_1.start.angle), 2.5 * unit_step_size(risk, depth) * min(1.0, 4.0 / depth)
            limit = _integral(risk, start, last, depth, theory)
            parts, ratios = np.array([2**9, 2**10, 2**11, 2**12]), []
            for count in parts:
                run = gradient_descent(risk, start, last / count, [count], depth, "exact")
                run.require_ok()
                assert run.log_layer is not None
                layer, first = float(run.log_layer[-1]), float(run.log_norm[-1] - (depth - 1) * run.log_layer[-1])
                ratios.append((np.exp(2.0 * first) - np.exp(2.0 * layer)) / (last / count) / limit)
            # two step sizes leave an error of second order
            gaps[f"{risk.label()}, N = {depth}"] = abs(float(2.0 * ratios[-1] - ratios[-2]) - 1.0)
            if len(sketch.curves) < 6:
                sketch.measured(1.0 / parts, np.array(ratios), f"{risk.law.name}, $N={depth}$")
    sketch.predicted(np.array([2.0**-12, 2.0**-9]), np.ones(2))
    return finding_of_gaps(
        gaps,
        2e-5,
        "|z|^2 - a^2 = eta int c^2 r^(2-2/N) sin^2(theta) dt + O(eta^2) from balanced layers",
        "ratio of the two, extrapolated to eta = 0: 1 to {gap}, {count} laws and depths",
        "2e-5: the extrapolation leaves (eta/t)^2 = 6e-8 times numbers of order one to a hundred",
        "gap of the ratio",
        sketch.done(),
    )


def claims() -> list[Claim]:
    """In the order of the report."""
    return [
        Claim(
            name="descent-on-layers-of-matrices",
            statement=r"z \leftarrow z-\eta\,a^{N-1}G,\quad a \leftarrow a-\eta\,a^{N-2}\langle G,z\rangle,\quad G=\nabla L(a^{N-1}z)",
            source="derived",
            setting="Sphere(dim=3) and Gaussian(dim=5), N = 1-4, widths 1 and 3, eta c r^(1-2/N) = 0.3 and 2.5, random starts",
            theory=layer_map,
            measure=_measure_map,
            method="Layers W_1 = u z^T, W_j = a u u^T are stepped as matrices with NumPy and compared, at every step, with the map on "
            "(a, z) and with gradient_descent.",
            fails="one layer, norm or s of one run off by more than 1e-9, relatively",
            control=Control("w itself steps along equation 7: W_N...W_1 then has no terms in eta^2", end_to_end_step),
            derivation="descent",
        ),
        Claim(
            name="descent-across-v",
            statement=r"z_\perp \leftarrow z_\perp(1-\sigma),\quad \sigma=\eta\,|a^{N-1}|\,\frac{c-h(r)}{|z|}",
            source="derived",
            setting="Sphere(dim=3) and Gaussian(dim=5), N = 1-4, random states with a of both signs, sigma up to about 4",
            theory=multiplier,
            measure=_measure_across,
            method="One step of the matrices from random rank-one layers; the part of W_1 across v after it over that before.",
            fails="one state whose multiplier is off by more than 1e-10",
            control=Control("sigma = eta a^(N-1) (c - h)/|z|, with the sign of a^(N-1)", signed_multiplier),
            derivation="descent",
        ),
        Claim(
            name="descent-unbalances-the-layers",
            statement=r"|z|^2-a^2=\eta\int_0^{\eta k}c^2 r^{2-2/N}\sin^2\theta\,dt+O(\eta^2)",
            source="derived",
            setting="the circle and Gaussian(dim=3), N = 2-4, |w(0)| = 1/E|x_1|, the angle of the paper's start, to c r(0)^(1-2/N) t = 2.5",
            theory=imbalance_rate,
            measure=_measure_imbalance,
            method="|z|^2 - a^2 of descents at t = eta k over eta, extrapolated from eta = t/2^11 and t/2^12 to 0, against the integral "
            "along the flow by Gauss nodes.",
            fails="one ratio that is not 1 to 2e-5",
            control=Control("1.00005 c^2 in the place of c^2", lambda *args: 1.00005 * imbalance_rate(*args)),
            derivation="descent",
        ),
    ]
