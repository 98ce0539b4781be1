"""Descent, step for step against NumPy and PyTorch; its clock; and the flow it hands over to, against the steps themselves."""

import warnings

import numpy as np
import pytest

import flowsim as fs
from flowsim.finite import deep_linear, homogeneous_descent, leaky_relu_network
from flowsim.finite.descent import _Walker

DATA = fs.finite.mixture(n=6, dim=3, signal=1.5, seed=3)
NETWORK = leaky_relu_network(dim=3, widths=[4], slope=0.3)
START = NETWORK.start(seed=2)
STEPS = np.array([0, 1, 2, 10, 100, 500])
AGREEMENT = 1e-12
"""Of every weight, relative to the largest, after 500 steps; 1e-15 is found."""


def gradient(first: np.ndarray, last: np.ndarray, loss: str) -> tuple[float, np.ndarray, np.ndarray]:
    """L, and its gradient in both layers."""
    z = DATA.x @ first.T
    h, slopes = np.where(z > 0.0, z, NETWORK.slope * z), np.where(z > 0.0, 1.0, NETWORK.slope)
    q = DATA.y * (h @ last[0])
    values, push = (np.exp(-q), np.exp(-q)) if loss == "exponential" else (np.log1p(np.exp(-q)), 1.0 / (1.0 + np.exp(q)))
    back = -DATA.y * push / q.size
    return float(values.mean()), ((back[:, None] * last * slopes).T @ DATA.x), back[None] @ h


def in_numpy(eta: float, loss: str, normalised: bool) -> tuple[list[np.ndarray], list[float]]:
    """W and t after each of STEPS."""
    (first, last), t, weights, times = (np.array(w) for w in START), 0.0, [], []
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            weights.append(np.concatenate([first.ravel(), last.ravel()]))
            times.append(t)
        risk, up, out = gradient(first, last, loss)
        # of order p = 2: 2 - 2/p = 1
        eased = risk * max(1.0, np.log(1.0 / (DATA.size * risk))) if normalised else 1.0
        first, last, t = first - eta / eased * up, last - eta / eased * out, t + eta / eased
    return weights, times


def weights_of(run, record: int) -> np.ndarray:
    return np.exp(run.log_norm[record]) * run.direction[record]


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_every_step_is_numpys(loss: str, normalised: bool) -> None:
    run = homogeneous_descent(NETWORK, DATA, START, 0.2, STEPS, loss=loss, normalised=normalised)
    weights, times = in_numpy(0.2, loss, normalised)
    for record, expected in enumerate(weights):
        np.testing.assert_allclose(weights_of(run, record), expected, atol=AGREEMENT * np.abs(expected).max())
    np.testing.assert_allclose(np.exp(run.log_time), times, rtol=1e-12)
    np.testing.assert_array_equal(run.step, STEPS)
    if normalised:
        # log 1/L grows by order eta a step, and t with it
        assert run.log_loss[-1] < -30.0
        assert run.log_time[-1] > 30.0
    else:
        np.testing.assert_allclose(run.log_time[1:], np.log(0.2 * STEPS[1:]), rtol=1e-12)


def test_one_layer_is_normalised_by_its_loss_alone() -> None:
    network = deep_linear(dim=3)
    run = homogeneous_descent(network, DATA, network.start(seed=0), 0.3, [0, 400], normalised=True)
    w, t = network.start(seed=0)[0][0], 0.0
    for _ in range(400):
        losses = np.exp(-DATA.points @ w)
        w, t = w + 0.3 * losses @ DATA.points / losses.sum(), t + 0.3 / losses.mean()
    np.testing.assert_allclose(weights_of(run, 1), w, rtol=1e-12)
    assert run.log_time[1] == pytest.approx(np.log(t), rel=1e-12)
    assert run.log_time[0] == -np.inf


def test_normalised_steps_go_where_no_double_does() -> None:
    """Beyond exp(-745), where exp(-q) is 0; and the clock beyond exp(709)."""
    run = homogeneous_descent(NETWORK, DATA, START, 0.2, [100, 20_000, 40_000], normalised=True)
    assert run.ok
    assert run.log_loss[1] < -1500.0
    assert run.log_loss[2] / run.log_loss[1] == pytest.approx(2.0, rel=0.05)
    # t is near 1/L
    np.testing.assert_allclose(run.log_time[1:], -run.log_loss[1:], rtol=0.02)
    assert run.path_length[0] < run.path_length[2] < run.path_length[1] + 0.05
    assert run.normalised_margin[2] > run.normalised_margin[0]


def test_a_path_is_the_length_of_the_steps_of_its_direction() -> None:
    run = homogeneous_descent(NETWORK, DATA, START, 0.2, np.arange(60))
    chords = np.linalg.norm(np.diff(run.direction, axis=0), axis=1)
    np.testing.assert_allclose(run.path_length[1:], np.cumsum(chords), rtol=1e-10)
    assert run.path_length[0] == 0.0


def test_every_step_is_pytorchs() -> None:
    with warnings.catch_warnings():
        # of its own, while it is imported
        warnings.simplefilter("ignore", (DeprecationWarning, FutureWarning, UserWarning))
        torch = pytest.importorskip("torch", reason="PyTorch, of the extra `bench`, is not installed", exc_type=ImportError)
    layers = [torch.nn.Linear(3, 4, bias=False, dtype=torch.float64), torch.nn.Linear(4, 1, bias=False, dtype=torch.float64)]
    with torch.no_grad():
        for layer, matrix in zip(layers, START, strict=True):
            layer.weight.copy_(torch.tensor(matrix))
    model = torch.nn.Sequential(layers[0], torch.nn.LeakyReLU(NETWORK.slope), layers[1])
    optimiser, x, y = torch.optim.SGD(model.parameters(), lr=0.2), torch.tensor(DATA.x), torch.tensor(DATA.y)
    for _ in range(STEPS[-1]):
        optimiser.zero_grad()
        torch.exp(-y * model(x)[:, 0]).mean().backward()
        optimiser.step()
    run = homogeneous_descent(NETWORK, DATA, START, 0.2, STEPS)
    expected = np.concatenate([layer.weight.detach().numpy().ravel() for layer in layers])
    np.testing.assert_allclose(weights_of(run, -1), expected, atol=AGREEMENT * np.abs(expected).max())


def test_the_flow_goes_on_where_the_steps_end() -> None:
    """From step 2000 to 2e5: off by what is stated or less, for a flow forgets; the steps themselves are the witness."""
    eta, handover, last = 0.2, 2000, 200_000
    steps = homogeneous_descent(NETWORK, DATA, START, eta, [handover, 20_000, last])
    beyond = np.log(eta * np.array([20_000, last]))
    run = homogeneous_descent(NETWORK, DATA, START, eta, [0, handover], log_times=beyond)
    run.require_ok()
    np.testing.assert_array_equal(run.step, [0, handover, -1, -1])
    np.testing.assert_allclose(run.log_time[1:], [np.log(eta * handover), *beyond])
    np.testing.assert_array_equal(run.direction[1], steps.direction[0])
    stated = run.config["handover_gap"]
    gaps = {
        "log_norm": np.abs(run.log_norm[2:] - steps.log_norm[1:]),
        "direction": np.linalg.norm(run.direction[2:] - steps.direction[1:], axis=1),
    }
    for name, gap in gaps.items():
        assert 0.0 < stated[name] < 1e-3
        assert (gap < 2.0 * stated[name]).all(), (name, gap, stated)
        # and no more by orders of magnitude: the statement is one of size
        assert gap[0] > 0.05 * stated[name], (name, gap, stated)
    assert run.config["solver"].startswith("diffrax.")


def test_a_longer_handover_is_nearer() -> None:
    eta, beyond = 0.2, [np.log(0.2 * 1e5)]
    gaps = [
        homogeneous_descent(NETWORK, DATA, START, eta, [last], log_times=beyond).config["handover_gap"]["log_norm"] for last in (1000, 8000)
    ]
    # like 1/K, and the logarithm of K in the loss
    assert gaps[0] / gaps[1] == pytest.approx(8.0, rel=0.4), gaps


def test_too_large_a_step_overflows_and_says_so() -> None:
    run = homogeneous_descent(NETWORK, DATA, START, 1e200, [0, 1, 50])
    assert (run.status, run.ok) == ("overflow", False)
    assert np.isfinite(run.log_norm[0])
    assert np.isnan(run.log_norm[-1])
    assert np.isnan(run.log_loss[-1])
    assert "step size" in run.message


def test_an_interrupted_descent_keeps_what_it_reached(monkeypatch) -> None:
    go = _Walker.to

    def to(self, step):
        if step == 100:
            raise KeyboardInterrupt
        go(self, step)

    monkeypatch.setattr(_Walker, "to", to)
    run = homogeneous_descent(NETWORK, DATA, START, 0.2, STEPS)
    assert run.status == "stopped"
    reached = np.isfinite(run.log_norm)
    np.testing.assert_array_equal(reached, STEPS < 100)
    assert np.isnan(run.log_time[~reached]).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"step_size": 0.0}, "`step_size` must be positive and finite, but is 0"),
        ({"steps": [10, 5]}, "`steps` must increase strictly, but 10 is followed by 5"),
        ({"steps": [-1]}, "`steps` must be a whole number, 0 or more, but is -1"),
        ({"steps": [1.5]}, "`steps` must be a whole number, 0 or more, but is 1.5"),
        ({"loss": "hinge"}, "`loss` must be one of exponential, logistic, but is 'hinge'"),
        ({"steps": [200], "log_times": [10.0], "normalised": True}, "`log_times` must be left out with `normalised`"),
        ({"steps": [50], "log_times": [10.0]}, "`steps` must end at 100 or more for the flow to go on from there, but ends at 50"),
        (
            {"steps": [200], "log_times": [3.0]},
            r"`log_times` must lie beyond log\(eta K\) = 3.68888, where the steps end, but begin with 3",
        ),
        ({"steps": [200], "log_times": [10.0, 9.0]}, "`log_times` must increase strictly, but 10 is followed by 9"),
        ({"start": [np.ones((4, 3))]}, "`start` must hold arrays of the shapes"),
    ],
)
def test_steps_that_are_none_are_refused(words: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        homogeneous_descent(**{"network": NETWORK, "data": DATA, "start": START, "step_size": 0.2, "steps": [10], **words})
