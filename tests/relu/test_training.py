"""Training against loops in NumPy and PyTorch, exact symmetries, the law of the batches, and how networks end."""

from itertools import pairwise

import jax
import numpy as np
import pytest

from flowsim.relu import STATUS, start, train
from flowsim.relu.training import batch_at

SIZES = (6, 8, 8, 3)
MEASURED = ("test_error", "train_loss", "log_product_norm", "largest_output")


compiled = jax.jit(batch_at, static_argnums=(2, 3))


def batch(seed, step, size, count):
    with jax.enable_x64(True):
        return np.asarray(compiled(np.uint32(seed), np.int64(step), size, count))


def plain_run(images, step_size, scale, factor, seed, record):
    """The four things measured, (4, T), by a loop that knows nothing of JAX but which images are in a batch."""
    weights = [matrix.copy() for matrix in start(SIZES, seed, scale=scale)]
    out, last = [], record[-1]
    for k in range(last + 1):
        if k in record:
            logits = _layers(weights, factor * images.x_train)[-1]
            wrong = _layers(weights, factor * images.x_test)[-1].argmax(axis=1) != images.y_test
            norm = np.linalg.norm(weights[2] @ weights[1] @ weights[0])
            losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), images.y_train]
            out.append([wrong.mean(), losses.mean(), np.log(norm), np.abs(logits).max()])
        index = batch(seed, k, 16, len(images.y_train))
        slopes = _slopes(weights, factor * images.x_train[index], images.y_train[index])
        for matrix, slope in zip(weights, slopes, strict=True):
            matrix -= step_size * slope
    return np.array(out).T


def _layers(weights, x):
    """The images, what each hidden layer makes of them, and the logits."""
    seen = [x]
    for matrix in weights[:-1]:
        seen.append(np.maximum(seen[-1] @ matrix.T, 0.0))
    return [*seen, seen[-1] @ weights[-1].T]


def _slopes(weights, x, y):
    """Backpropagation by hand."""
    *seen, logits = _layers(weights, x)
    error = np.exp(logits - logits.max(axis=1, keepdims=True))
    error /= error.sum(axis=1, keepdims=True)
    error[np.arange(len(y)), y] -= 1.0
    error /= len(y)
    slopes = []
    for matrix, below in zip(reversed(weights), reversed(seen), strict=True):
        slopes.append(error.T @ below)
        error = (error @ matrix) * (below > 0.0)
    return slopes[::-1]


def test_backpropagation_by_hand_agrees_with_finite_differences(images):
    """The witness of the other tests, against a witness of its own: central differences are off by 1e-10 here."""
    weights = list(start(SIZES, 0, scale=2.0))

    def loss():
        logits = _layers(weights, images.x_train)[-1]
        return (np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(42), images.y_train]).mean()

    for matrix, slope in zip(weights, _slopes(weights, images.x_train, images.y_train), strict=True):
        for place in [(0, 0), (2, 5), (1, 3)]:
            kept, ends = matrix[place], []
            for change in (1e-5, -1e-5):
                matrix[place] = kept + change
                ends.append(loss())
            matrix[place] = kept
            assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(slope[place], abs=1e-9)


def test_every_network_follows_a_plain_loop(images, setting, unbroken):
    for i, step_size in enumerate(setting["step_sizes"]):
        for j, (scale, factor) in enumerate(zip(setting["weight_scales"], setting["data_scales"], strict=True)):
            for seed in range(2):
                expected = plain_run(images, step_size, scale, factor, seed, setting["steps"])
                measured = np.array([getattr(unbroken, name)[i, j, seed] for name in MEASURED])
                # rounding, amplified over 60 steps
                np.testing.assert_allclose(measured, expected, rtol=1e-10, atol=1e-12)
    assert unbroken.ok
    assert unbroken.train_loss[..., -1].max() < unbroken.train_loss[..., 0].min()


def test_sgd_of_torch_takes_the_same_steps(images, setting, unbroken):
    torch = pytest.importorskip("torch", reason="compares with torch.optim.SGD, of the extra `bench`")
    x, y = torch.tensor(3.0 * images.x_train), torch.tensor(images.y_train)
    linear = [torch.nn.Linear(into, out, bias=False, dtype=torch.float64) for into, out in pairwise(SIZES)]
    network = torch.nn.Sequential(linear[0], torch.nn.ReLU(), linear[1], torch.nn.ReLU(), linear[2])
    for layer, matrix in zip(linear, start(SIZES, 1, scale=2.0), strict=True):
        layer.weight.data = torch.tensor(matrix)
    optimiser, loss = torch.optim.SGD(network.parameters(), lr=0.2), torch.nn.CrossEntropyLoss()
    losses, norms = [], []
    for k in range(61):
        if k in setting["steps"]:
            with torch.no_grad():
                losses.append(loss(network(x), y).item())
                norms.append(torch.linalg.norm(linear[2].weight @ linear[1].weight @ linear[0].weight).item())
        index = torch.tensor(batch(1, k, 16, 42))
        optimiser.zero_grad()
        loss(network(x[index]), y[index]).backward()
        optimiser.step()
    np.testing.assert_allclose(unbroken.train_loss[0, 1, 1], losses, rtol=1e-10)
    np.testing.assert_allclose(np.exp(unbroken.log_product_norm[0, 1, 1]), norms, rtol=1e-10)


def test_scaled_data_are_a_larger_first_layer_with_a_larger_step(images, setting, unbroken):
    """f(alpha x) is a network with first layer V = alpha W_1, and V <- V - alpha^2 eta grad_V: an identity of the dynamics."""
    weights = start(SIZES, 0, scale=2.0)
    larger = [3.0 * weights[0], *weights[1:]]
    for k in range(3):
        index = batch(0, k, 16, 42)
        slopes = _slopes(larger, images.x_train[index], images.y_train[index])
        for layer, (matrix, slope) in enumerate(zip(larger, slopes, strict=True)):
            matrix -= 0.2 * (9.0 if layer == 0 else 1.0) * slope
    logits = _layers(larger, images.x_train)[-1]
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(42), images.y_train]
    assert unbroken.train_loss[0, 1, 0, 3] == pytest.approx(losses.mean(), rel=1e-12)
    norm = np.linalg.norm(larger[2] @ larger[1] @ larger[0] / 3.0)
    assert unbroken.log_product_norm[0, 1, 0, 3] == pytest.approx(np.log(norm), abs=1e-12)


def test_small_steps_of_one_layer_follow_one_path_in_time(images):
    """Full batches, no kinks: the gap between the step sizes 2 h and h at one time halves with h, for both follow the gradient flow."""
    losses = {}
    for size in (0.04, 0.02, 0.01):
        run = train(images, [size], 2.0, seeds=1, depth=1, batch=100, steps=[0, round(2.0 / size)])
        losses[size] = float(run.train_loss[0, 0, 0, -1])
    gaps = [losses[0.04] - losses[0.02], losses[0.02] - losses[0.01]]
    assert gaps[0] / gaps[1] == pytest.approx(2.0, rel=0.03), gaps


def test_a_batch_depends_on_seed_and_step_alone_and_draws_evenly():
    drawn = np.array([batch(0, k, 50, 100) for k in range(60)])
    counts = np.bincount(drawn.ravel(), minlength=100)
    assert counts.size == 100
    # chi-squared of 99 degrees of freedom: 99.99 % lie between 53 and 162
    assert 53.0 < ((counts - 30.0) ** 2 / 30.0).sum() < 162.0
    # with replacement: 50 draws of 100 hold 39.5 different ones on average, give or take 2.2 a batch
    assert np.mean([np.unique(one).size for one in drawn]) == pytest.approx(39.5, abs=1.2)
    assert not (drawn[0] == drawn[1]).all()
    assert not (drawn[0] == batch(1, 0, 50, 100)).all()
    np.testing.assert_array_equal(batch(0, 5, 10, 10), np.arange(10))
    np.testing.assert_array_equal(batch(0, 5, 11, 10), np.arange(10))


def test_batches_do_not_follow_the_users_settings():
    before = batch(3, 2, 9, 100)
    with jax.default_prng_impl("rbg"):
        np.testing.assert_array_equal(batch(3, 2, 9, 100), before)
    np.testing.assert_array_equal(np.asarray(batch_at(3, 2, 9, 100)), before)


def test_a_network_in_a_batch_is_the_network_alone(images, setting, unbroken):
    alone = train(images, **{**setting, "step_sizes": 0.05, "weight_scales": 2.0, "data_scales": 3.0, "seeds": [1]})
    np.testing.assert_allclose(alone.train_loss[0, 0, 0], unbroken.train_loss[1, 1, 1], rtol=1e-11)
    assert alone.seeds.tolist() == [1]
    np.testing.assert_allclose(alone.time, 0.05 * np.array([setting["steps"]]))


def test_networks_that_diverge_or_die_say_so_and_the_others_go_on(images, setting):
    run = train(images, **{**setting, "step_sizes": [0.05, 1e3], "weight_scales": [1.0, 1e120], "data_scales": 1.0})
    assert (run.status[0, 0] == "ok").all()
    assert set(run.status.ravel()) <= set(STATUS)
    assert not run.ok
    # logits of 1e360 to begin with
    assert (run.status[:, 1] == "diverged").all()
    for name in MEASURED:
        assert np.isnan(getattr(run, name)[:, 1]).all()
    dead = run.status[1, 0] == "dead"
    assert dead.any()
    assert (run.largest_output[1, 0, dead, -1] == 0.0).all()
    np.testing.assert_allclose(run.train_loss[1, 0, dead, -1], np.log(3.0), rtol=1e-15)
    np.testing.assert_array_equal(run.log_product_norm[1, 0, dead, -1], run.log_product_norm[1, 0, dead, -2])
    assert (run.dead_from[1, 0, dead] > 0).all()
    assert (run.dead_from[0] == -1).all()
    assert "4 of 8 runs: a weight or the loss left the double range" in run.message


def test_records_are_spread_over_the_logarithm_of_the_step(images, setting):
    run = train(images, **{**setting, "steps": 60})
    assert run.step[0] == 0
    assert run.step[-1] == 60
    assert 20 < run.step.size <= 60


def test_the_users_precision_stays_theirs(unbroken):
    assert not jax.config.jax_enable_x64
    assert all(getattr(unbroken, name).dtype == np.float64 for name in MEASURED)
    # three of eighteen images, in double
    assert set(np.round(unbroken.test_error.ravel() * 18.0, 12) % 1.0) == {0.0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"step_sizes": [0.1, 0.0]}, "`step_sizes` must be positive and finite, but is 0"),
        ({"step_sizes": [[0.1]]}, "`step_sizes` must be a number or one-dimensional"),
        ({"weight_scales": -1.0}, "`weight_scales` must be positive and finite, but is -1"),
        ({"data_scales": [1.0, 2.0, 3.0]}, "`weight_scales` and `data_scales` must be as many, or one, but are 2 and 3"),
        ({"seeds": 0}, "`seeds` must be a whole number, 1 or more, but is 0"),
        ({"seeds": [-1]}, "`seeds` must be a whole number from 0 to 4294967295, but is -1"),
        ({"depth": 0}, "`depth` must be a whole number, 1 or more, but is 0"),
        ({"width": 0}, "`width` must be"),
        ({"batch": 0}, "`batch` must be"),
        ({"steps": [2, 1]}, "`steps` must increase strictly"),
        ({"initial": "lecun"}, "`initial` must be one of pytorch, he, but is 'lecun'"),
        ({"interval": -1.0}, "`interval` must be zero or positive, and finite, but is -1"),
    ],
)
def test_bad_arguments_are_refused(images, setting, change, said):
    with pytest.raises(ValueError, match=said):
        train(images, **{**setting, **change})
