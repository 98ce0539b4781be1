"""How a flow ends: at a finite minimiser, interrupted; and what is refused before it begins."""

import numpy as np
import pytest
from scipy.optimize import minimize

import flowsim as fs
from flowsim.finite import TrainingSet, deep_linear, homogeneous_flow, log_log_times, relu_network
from flowsim.finite.flow import Follower

DATA = fs.finite.mixture(n=6, dim=3, signal=2.0, seed=1)
LINEAR = deep_linear(dim=3)
START = LINEAR.start(seed=1)
TIMES = [0.0, 1.0, 2.0, 3.0]


def test_on_data_that_cannot_be_separated_it_ends_at_the_minimiser() -> None:
    x = np.random.default_rng(5).standard_normal((6, 3))
    # each point twice over, once with the other label, and less of it
    data = TrainingSet(np.concatenate([x[:3], 0.5 * x[:3]]), [1, 1, 1, -1, -1, -1])
    run = homogeneous_flow(LINEAR, data, START, [0.0, 3.0, 6.0, 8.0])
    run.require_ok()
    risk = lambda w: np.exp(-data.points @ w).mean()  # noqa: E731
    slope = lambda w: -(data.points * np.exp(-data.points @ w)[:, None]).mean(axis=0)  # noqa: E731
    best = minimize(risk, np.zeros(3), jac=slope, method="BFGS", options={"gtol": 1e-12}).x
    assert np.abs(slope(best)).max() < 1e-9
    np.testing.assert_allclose(np.exp(run.log_norm[-1]) * run.direction[-1], best, atol=1e-7)
    assert run.log_loss[-1] == pytest.approx(np.log(risk(best)), abs=1e-12)
    assert not run.separated.any()


def test_an_interrupted_flow_keeps_what_it_reached(monkeypatch) -> None:
    whole = homogeneous_flow(LINEAR, DATA, START, TIMES)
    go, calls = Follower.to, []

    def to(self, lam):
        calls.append(lam)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return go(self, lam)

    monkeypatch.setattr(Follower, "to", to)
    run = homogeneous_flow(LINEAR, DATA, START, TIMES)
    assert (run.status, run.ok) == ("stopped", False)
    for name in ("log_norm", "direction", "log_loss", "path_length", "alignment_gap", "margins", "weights", "predictor"):
        values = getattr(run, name)
        np.testing.assert_array_equal(values[:2], getattr(whole, name)[:2])
        assert np.isnan(values[2:]).all(), name
    assert np.isnan(run.smoothed_margin[2:]).all()
    np.testing.assert_array_equal(run.log_time, TIMES)


def test_a_late_record_does_not_depend_on_those_before_it() -> None:
    few, many = homogeneous_flow(LINEAR, DATA, START, [3.0]), homogeneous_flow(LINEAR, DATA, START, np.linspace(-6.0, 3.0, 40))
    np.testing.assert_allclose(few.direction[-1], many.direction[-1], atol=1e-9)
    np.testing.assert_allclose(few.path_length[-1], many.path_length[-1], atol=1e-8)
    # t = 0 is the start, and log t = -30 as good as that
    early = homogeneous_flow(LINEAR, DATA, START, [-30.0, 3.0])
    np.testing.assert_allclose(np.exp(early.log_norm[0]) * early.direction[0], START[0][0], atol=1e-11)


def test_log_log_times() -> None:
    times = log_log_times(1e5, count=50, first=-2.0)
    assert (times[0], times.size) == (pytest.approx(-2.0), 50)
    assert times[-1] == pytest.approx(1e5)
    np.testing.assert_allclose(np.diff(np.arcsinh(times)), np.diff(np.arcsinh(times))[0], rtol=1e-9)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"network": "relu"}, "`network` must be a network such as .* but is 'relu'"),
        ({"network": deep_linear(dim=4)}, "`network` must take x of dimension 3, as the data have, but takes 4"),
        ({"data": np.eye(3)}, "`data` must be a TrainingSet or a DataSet"),
        ({"start": [np.ones((2, 3))]}, r"`start` must hold arrays of the shapes \(\(1, 3\),\), but holds \(\(2, 3\),\)"),
        ({"start": [np.zeros((1, 3))]}, "`start` must hold finite weights, not all of them 0, but holds zeros alone"),
        ({"start": [np.full((1, 3), np.nan)]}, "`start` must hold finite weights, .* but holds nan or inf"),
        ({"start": ["three"]}, "`start` must be a pytree of arrays of numbers, but holds something else"),
        ({"log_times": [1.0, 1.0]}, "`log_times` must increase strictly, but 1 is followed by 1"),
        ({"log_times": [[0.0, 1.0]]}, r"`log_times` must have shape \(T,\), but has \(1, 2\)"),
        ({"log_times": [0.0, np.inf]}, "`log_times` must be finite, but is inf"),
        ({"loss": "hinge"}, "`loss` must be one of exponential, logistic, but is 'hinge'"),
        ({"rtol": 1e-15}, r"`rtol` must be in \[1e-13, 0.001\], but is 1e-15"),
        ({"max_steps": 0}, "`max_steps` must be a whole number, 1 or more, but is 0"),
        ({"rounding": 0.5}, r"`rounding` must be in \[0, 0.1\], but is 0.5"),
        ({"solver": "euler"}, "`solver` must be one of"),
        ({"solver": fs.SciPy("BDF")}, "`solver` must be one of .* or a diffrax solver, but is"),
    ],
)
def test_what_cannot_be_followed_is_refused(words: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        homogeneous_flow(**{"network": LINEAR, "data": DATA, "start": START, "log_times": TIMES, **words})


def test_a_start_that_does_not_move_is_refused() -> None:
    """A ReLU on the far side of every sample."""
    network = relu_network(dim=2, widths=[1])
    with pytest.raises(ValueError, match=r"`start` must have a gradient that is finite and not 0, but \|grad log L\| is 0 there"):
        homogeneous_flow(network, TrainingSet([[1.0, 0.0]], [1]), [np.array([[-1.0, 0.0]]), np.array([[1.0]])], [0.0], check=False)
