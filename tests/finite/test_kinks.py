"""A neuron that slides along a kink: the solution of Filippov, written out, against the rounded kink; and what becomes of a sharp one.

f = phi(<w, x>), phi of slope gamma; (1, 1) labelled 1 pulls w = (a, b) up, (0, 1) labelled -1 pushes it down. In twice the time,

    b > 0:  a' = exp(-(a + b)),  b' = exp(-(a + b)) - exp(b);      b < 0:  b' = exp(-(a + b)) - gamma exp(gamma b).

At b = 0 both sides point to it while gamma < exp(-a) < 1: there a' = exp(-a), so that exp(a) grows like t, to a = log(1/gamma).
"""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from flowsim.finite import Network, TrainingSet, homogeneous_flow
from flowsim.finite.activations import leaky_relu, lengths

SLOPE = 0.1
DATA = TrainingSet([[1.0, 1.0], [0.0, 1.0]], [1, -1])
START = np.array([0.2, 0.3])


@dataclass(frozen=True)
class Neuron(Network):
    """f = phi(<w, x>)."""

    @property
    def name(self):
        return "neuron"

    @property
    def order(self):
        return 1

    def outputs(self, weights, x, rounding=0.0):
        w = weights[None]
        return leaky_relu(x @ w.T, lengths(x) * lengths(w), SLOPE, rounding)[:, 0]

    def config(self):
        return {"network": self.name, "order": 1}


class Sliding:
    """In pieces: to the kink, along it, and away on the other side."""

    def __init__(self) -> None:
        def above(_, w):
            pull = np.exp(-w.sum()) / 2.0
            return [pull, pull - np.exp(w[1]) / 2.0]

        def below(_, w):
            pull = np.exp(-w.sum()) / 2.0
            return [pull, pull - SLOPE * np.exp(SLOPE * w[1]) / 2.0]

        reached = lambda _, w: w[1]  # noqa: E731
        reached.terminal = True
        options = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-13, "dense_output": True}
        self._to = solve_ivp(above, (0.0, 100.0), START, events=reached, **options)
        self.arrives = float(self._to.t[-1])
        self._a = float(self._to.y[0, -1])
        # exp(a) = exp(a_s) + (t - t_s)/2, up to 1/gamma
        self.leaves = self.arrives + 2.0 * (1.0 / SLOPE - np.exp(self._a))
        self._away = solve_ivp(below, (self.leaves, 1000.0), [np.log(1.0 / SLOPE), 0.0], **options)

    def at(self, t: float) -> np.ndarray:
        if t <= self.arrives:
            return self._to.sol(t)
        if t <= self.leaves:
            return np.array([np.log(np.exp(self._a) + (t - self.arrives) / 2.0), 0.0])
        return self._away.sol(t)


@pytest.fixture(scope="module")
def exact() -> Sliding:
    return Sliding()


def test_the_example_slides(exact: Sliding) -> None:
    """It comes to the kink from above and leaves it below, where both fields stop pointing to it."""
    assert 0.1 < exact.arrives < 2.0
    assert 10.0 < exact.leaves < 25.0
    assert exact.at(1000.0)[1] < -1.0
    for t in (exact.arrives + 0.1, exact.leaves - 0.1):
        pull = np.exp(-exact.at(t)[0])
        assert pull - 1.0 < 0.0 < pull - SLOPE


def test_a_rounded_kink_is_off_by_its_width(exact: Sliding) -> None:
    """Of order delta on the kink and after it: over two decades of delta the gaps fall by two decades, within a tenth of one."""
    times = np.array([0.5 * exact.arrives, 5.0, 12.0, exact.leaves + 5.0, 1000.0])
    expected = np.array([exact.at(t) for t in times])
    gaps = {}
    for rounding in (1e-2, 1e-4):
        run = homogeneous_flow(Neuron(), DATA, START, np.log(times), rounding=rounding, check=rounding == 1e-2)
        run.require_ok()
        gaps[rounding] = np.linalg.norm(np.exp(run.log_norm)[:, None] * run.direction - expected, axis=1)
    # before the kink nothing is rounded
    assert max(gap[0] for gap in gaps.values()) < 1e-9, gaps
    orders = 0.5 * np.log10(gaps[1e-2][1:] / gaps[1e-4][1:])
    np.testing.assert_allclose(orders, 1.0, atol=0.05)
    # on the kink w is inside the rounded layer, |b| < delta |w|
    assert gaps[1e-4][1:3].max() < 1.5e-4 * np.linalg.norm(expected[2])
    assert gaps[1e-4][3:].max() < 1e-3


def test_at_a_sharp_kink_there_is_no_number(exact: Sliding) -> None:
    run = homogeneous_flow(Neuron(), DATA, START, np.log([0.5 * exact.arrives, 5.0, 12.0]), rounding=0.0, max_steps=3000, check=False)
    assert (run.status, run.ok) == ("step_cap", False)
    assert "rounding" in run.message
    expected = exact.at(0.5 * exact.arrives)
    np.testing.assert_allclose(np.exp(run.log_norm[0]) * run.direction[0], expected, atol=1e-9)
    for values in (run.log_norm, run.log_loss, run.path_length, run.direction[:, 0], run.margins[:, 0]):
        assert np.isnan(values[1:]).all()
    with pytest.raises(RuntimeError, match="did not get to its last record: the solver's steps ran out"):
        run.require_ok()


def test_a_crossed_kink_is_off_by_less() -> None:
    """Of order delta too, for the two halves of the layer are crossed at two speeds, but by some hundredths of it."""
    data = TrainingSet([[1.0, 1.0], [0.0, 1.0]], [1, 1])
    start, times = np.array([0.3, -0.4]), np.log([0.5, 10.0])
    sharp, *rounded = (homogeneous_flow(Neuron(), data, start, times, rounding=rounding, check=False) for rounding in (0.0, 1e-2, 1e-3))
    assert sharp.margins[0, 1] < 0.0 < sharp.margins[1, 1]
    gaps = np.array([np.linalg.norm(run.direction - sharp.direction, axis=1) for run in rounded])
    # nothing before it
    assert gaps[:, 0].max() < 1e-9
    assert np.log10(gaps[0, 1] / gaps[1, 1]) == pytest.approx(1.0, abs=0.1)
    assert 1e-3 < gaps[1, 1] / 1e-3 < 0.05
