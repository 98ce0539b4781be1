"""Claims about the paper's figure 1 as it is drawn: SGD on samples of the circle, beside descent on the population's risk.

One step on a batch of B moves y = (a, z) as descent does, plus eta times a mean of B independent gradients' errors. To first order in these
the covariance of y obeys P_{k+1} = J P J^T + (eta^2/B) M Sigma M^T along descent, J the derivative of its step, Sigma the covariance of one
sample's gradient in w, and M the derivative of y's step by it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

from flowsim.claims.claim import Claim, Control, Finding
from flowsim.claims.figure_1.runs import STEPS, depths_asked
from flowsim.claims.paper import PAPER
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.dynamics import gradient_descent
from flowsim.theory.paper import FIGURE_1

EVERY = 25
"""Steps from one point of the covariance to the next; a multiple of them from one record to the next."""

RECORDS = np.arange(0, STEPS + 1, 1000)
BLOCK = 100
"""Batches drawn at once."""

DEVIATIONS = 5.0
"""Standard deviations; one of some hundred normal numbers passes this once in ten thousand measurements."""

RARE = 1e-4
"""How often the deviations' root mean square would leave its range by chance, on either side."""

INDEPENDENT = 2.0
"""At least so many independent numbers are in the deviations of one run at one seed: late ones remember early ones."""


def sgd(generator: np.random.Generator, depths: tuple[int, ...], steps: int, every: int) -> dict[int, np.ndarray]:
    """SGD on layers u z^T, a u u^T, ... of each depth, on the same batches: (a, z along v, z across v) after every so many steps, (T, 3).

    On the circle y x, the sample times its label, is uniform on the half circle around v. Batches are of single precision, sums of double.
    """
    risk_start, eta, batch = FIGURE_1.start, FIGURE_1.step_size, FIGURE_1.batch
    norm, angle = float(risk_start.norm), float(risk_start.angle)
    states = {n: np.array([1.0, norm * np.cos(angle), norm * np.sin(angle)]) for n in depths}
    found = {n: [states[n]] for n in depths}
    for first in range(0, steps, BLOCK):
        phi = generator.random((min(BLOCK, steps - first), batch), dtype=np.float32) * np.float32(np.pi)
        samples = np.stack([np.sin(phi), np.cos(phi)], axis=-1)
        for k, x in enumerate(samples, start=first + 1):
            for n, (a, *z) in states.items():
                power = a ** (n - 1)
                weight = np.exp(x @ (power * np.array(z)).astype(np.float32))
                weight += 1.0
                gradient = -(np.reciprocal(weight) @ x).astype(float) / batch
                less = a ** (n - 2) if n > 1 else 0.0
                states[n] = np.array([a - eta * less * (gradient @ z), *(z - eta * power * gradient)])
            if k % every == 0:
                for n in depths:
                    found[n].append(states[n])
    return {n: np.array(path) for n, path in found.items()}


def observed(states: np.ndarray, depth: int) -> np.ndarray:
    """The angle to v, signed, and log |w|, (..., 2), of (a, z along v, z across v), (..., 3)."""
    a, along, across = np.moveaxis(states, -1, 0)
    return np.stack([np.arctan2(across, along), (depth - 1) * np.log(a) + np.log(np.hypot(along, across))], axis=-1)


class Band(NamedTuple):
    """What is expected of `observed` at `RECORDS`, and its standard deviation, (T, 2) each."""

    mean: np.ndarray
    deviation: np.ndarray


def band(depth: int, step_size: float = FIGURE_1.step_size) -> Band:
    """Descent on the population's risk, and the fluctuations of SGD around it to first order in 1/sqrt(batch)."""
    steps = np.arange(0, STEPS + 1, EVERY)
    run = gradient_descent(FIGURE_1.risk, FIGURE_1.start, step_size, steps, depth, "exact")
    log_layer, side = np.asarray(run.log_layer), np.asarray(run.side)
    size = np.exp(run.log_norm - (depth - 1) * log_layer)
    states = np.stack([np.exp(log_layer), size * np.cos(run.angle), size * side * np.sin(run.angle)], axis=-1)
    slope = _derivative(lambda y: _field(y, depth), states)
    # from one point to the next with the slope in the middle: exp(X) to third order
    middle = 0.5 * (slope[1:] + slope[:-1]) * (EVERY * step_size)
    carried = np.eye(3) + middle + middle @ middle / 2.0 + middle @ middle @ middle / 6.0
    noise = _noise(states, depth) * (EVERY * step_size**2 / FIGURE_1.batch)
    covariance = np.zeros_like(slope)
    for k in range(steps.size - 1):
        # the noise of the interval, half at either end
        before = covariance[k] + 0.5 * noise[k]
        covariance[k + 1] = carried[k] @ before @ carried[k].T + 0.5 * noise[k + 1]
    out = _derivative(lambda y: observed(y, depth), states)
    deviation = np.sqrt(np.einsum("tij,tjk,tik->ti", out, covariance, out))
    kept = np.searchsorted(steps, RECORDS)
    return Band(observed(states, depth)[kept], deviation[kept])


def _field(states: np.ndarray, depth: int) -> np.ndarray:
    """Descent's step over eta, (..., 3)."""
    a, z = states[..., :1], states[..., 1:]
    w = a ** (depth - 1) * z
    norm = np.linalg.norm(w, axis=-1, keepdims=True)
    gradient = FIGURE_1.risk.drag(norm) * w / norm - FIGURE_1.risk.pull * np.array([1.0, 0.0])
    return -_layers(states, depth)[..., 0] * gradient[..., :1] - _layers(states, depth)[..., 1] * gradient[..., 1:]


def _layers(states: np.ndarray, depth: int) -> np.ndarray:
    """M: how a gradient in w moves (a, z), (..., 3, 2)."""
    a, z = states[..., 0], states[..., 1:]
    out = np.zeros((*a.shape, 3, 2))
    out[..., 0, :] = a[..., None] ** (depth - 2) * z if depth > 1 else 0.0
    out[..., 1, 0] = out[..., 2, 1] = a ** (depth - 1)
    return out


def _noise(states: np.ndarray, depth: int) -> np.ndarray:
    """M Sigma M^T, (T, 3, 3): Sigma by the midpoint rule over the half circle."""
    phi = (np.arange(512) + 0.5) * np.pi / 512
    x = np.stack([np.sin(phi), np.cos(phi)], axis=-1)
    w = states[:, :1] ** (depth - 1) * states[:, 1:]
    gradients = -x / (1.0 + np.exp(w @ x.T))[..., None]
    centred = gradients - gradients.mean(axis=1, keepdims=True)
    sigma = np.einsum("tpi,tpj->tij", centred, centred) / phi.size
    layers = _layers(states, depth)
    return layers @ sigma @ np.swapaxes(layers, -1, -2)


def _derivative(function: Callable[[np.ndarray], np.ndarray], states: np.ndarray) -> np.ndarray:
    """By central differences, (T, out, 3)."""
    step = 1e-6
    columns = [(function(states + step * unit) - function(states - step * unit)) / (2.0 * step) for unit in np.eye(3)]
    return np.stack(columns, axis=-1)


def _measure(setting: Setting, predicted: Callable[[int], Band]) -> Finding:
    depths = depths_asked(setting)
    runs = 12 if setting.thorough else 2
    bands = {n: predicted(n) for n in depths}
    draw = setting.generator(220)
    sketch = Sketch(r"$\eta n$", r"$\theta$ (SGD) - $\theta$ (descent)")
    time, largest, worst, squares = FIGURE_1.step_size * RECORDS, 0.0, "", []
    for run in range(runs):
        for n, states in sgd(draw, depths, STEPS, int(RECORDS[1])).items():
            gap = observed(states, n) - bands[n].mean
            scaled = gap[1:] / bands[n].deviation[1:]
            squares.append(scaled**2)
            i, j = np.unravel_index(int(np.argmax(np.abs(scaled))), scaled.shape)
            if abs(scaled[i, j]) > largest:
                largest, worst = float(abs(scaled[i, j])), f"N = {n}, run {run}, {('angle', 'log norm')[j]} at n = {RECORDS[1 + i]}"
            if run == 0:
                sketch.measured(time, gap[:, 0], f"$N={n}$")
                sketch.limit(time, DEVIATIONS * bands[n].deviation[:, 0], f"{DEVIATIONS:g} deviations" if n == depths[0] else "")
    spread = float(np.sqrt(np.mean(squares)))
    low, high = np.sqrt(stats.chi2.ppf([RARE, 1.0 - RARE], INDEPENDENT * runs) / (INDEPENDENT * runs))
    late = {n: (float(bands[n].mean[-1, 0]), float(bands[n].deviation[-1, 0])) for n in depths}
    return Finding(
        "holds" if largest < DEVIATIONS and low < spread < high else "violated",
        "SGD = descent + normal fluctuations whose covariance obeys P' = J P J^T + (eta^2/B) M Sigma M^T",
        f"angle and log norm within {largest:.2f} deviations in {runs} runs to n = {STEPS}, their root mean square {spread:.2f}; "
        + ", ".join(f"N = {n} ends at theta = {mean:.1e} +- {deviation:.1e}" for n, (mean, deviation) in late.items()),
        f"{DEVIATIONS:g} deviations, and a root mean square in {low:.2f} to {high:.2f}",
        worst,
        {"deviations": largest, "rms": spread, "runs": runs, "last angle and its deviation": {str(n): late[n] for n in depths}},
        sketch.done(),
    )


def _other_step(depth: int) -> Band:
    return band(depth, 1.001 * FIGURE_1.step_size)


def claims() -> list[Claim]:
    return [
        Claim(
            "figure-1-sgd",
            r"y_{\text{SGD}}-y_{\text{GD}}\simeq \mathcal{N}(0,P_n),\ P_{n+1}=JP_nJ^{\top}+\tfrac{\eta^2}{B}M\Sigma M^{\top}",
            f"{PAPER}, figure 1; the size of the fluctuations: derived",
            "the circle, w(0) = (0.6, -0.8), N = 1 and 4, eta = 1e-3, B = 1000, 30000 steps, two runs",
            band,
            _measure,
            "SGD on sampled batches, as the figure is drawn, beside exact descent on the population's risk at every 1000th step, "
            "in units of the predicted standard deviation.",
            "One record of one run off by 5 standard deviations, or a root mean square of all deviations that chance gives once in 1e4.",
            Control("eta larger by 0.1 % in descent", _other_step),
            about=("Figure 1",),
        )
    ]
