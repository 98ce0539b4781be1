"""SGD: against a loop of plain NumPy on the same batches, the population's descent, and itself when it is taken up again."""

import numpy as np
import optax
import pytest
from scipy.special import expit

import flowsim as fs
from flowsim.samples import draw, sgd
from flowsim.samples.batches import STREAM
from flowsim.samples.networks import Networks

DEVIATIONS = 5.0
LAW = fs.Gaussian(dim=2)
V = np.array([0.6, 0.8])
BATCH = 1000
BLOCK = 65
"""Steps in a block of batches of 1000 points in the plane: 2^17/2000."""


def starts(seeds=(0, 1)) -> fs.Layers:
    return fs.layers.gaussian(dim=2, depth=3, width=4, seeds=list(seeds))


def batches(seed: int, steps: int) -> np.ndarray:
    """y x of each step, (steps, batch, 2), by the rule that the docstring gives: a block of steps from a generator of [seed, block]."""
    blocks = []
    for number in range(-(-steps // BLOCK)):
        x = LAW.sample(np.random.default_rng([seed, number, STREAM]), BLOCK * BATCH)
        blocks.append((np.sign(x @ V)[:, None] * x).reshape(BLOCK, BATCH, 2))
    return np.concatenate(blocks)[:steps]


def by_hand(layers: fs.Layers, points: np.ndarray, eta: float, momentum: float = 0.0) -> list[np.ndarray]:
    w1, w2, w3 = (matrix.copy() for matrix in layers.matrices)
    speeds = [np.zeros_like(matrix) for matrix in (w1, w2, w3)]
    for x in points:
        g = -np.mean(x * expit(-(x @ (w3 @ w2 @ w1)[0]))[:, None], axis=0)[None, :]
        pushes = [(w3 @ w2).T @ g, w3.T @ g @ w1.T, g @ w1.T @ w2.T]
        speeds = [momentum * speed + push for speed, push in zip(speeds, pushes, strict=True)]
        w1, w2, w3 = (matrix - eta * speed for matrix, speed in zip((w1, w2, w3), speeds, strict=True))
    return [w1, w2, w3]


@pytest.fixture(scope="module")
def whole() -> fs.LayerRun:
    return sgd(LAW, starts(), 0.1, [0, 50, 100, 200], BATCH, seed=[3, 4], v=V)


def test_it_is_a_loop_over_batches_of_seed_and_step(whole: fs.LayerRun) -> None:
    for i, seed in enumerate((3, 4)):
        for found, expected in zip(whole[i].last.matrices, by_hand(starts()[i], batches(seed, 200), 0.1), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    assert whole.kind == "sgd"
    assert whole.problem.law == LAW
    np.testing.assert_allclose(whole.time, [0.0, 5.0, 10.0, 20.0])
    np.testing.assert_allclose(whole.observed["layer_norm"][:, -1, 0], np.linalg.norm(whole.last.matrices[0], axis=(-2, -1)), rtol=1e-14)


def test_records_and_company_change_no_number(whole: fs.LayerRun) -> None:
    alone = sgd(LAW, starts()[1], 0.1, np.arange(0, 201, 20), BATCH, seed=4, v=V)
    for found, expected in zip(alone.last.matrices, whole[1].last.matrices, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert alone.log_norm[5] == whole.log_norm[1, 2]


def test_one_seed_for_several_networks_shows_them_the_same_samples() -> None:
    twins = fs.layers.Layers([np.stack([matrix, matrix]) for matrix in starts()[0].matrices])
    same = sgd(LAW, twins, 0.1, [100], BATCH, seed=3, v=V)
    np.testing.assert_array_equal(same.last.matrices[0][0], same.last.matrices[0][1])
    apart = sgd(LAW, starts()[0], 0.1, [100], BATCH, seed=[3, 4], v=V)
    np.testing.assert_array_equal(apart.last.matrices[0][0], same.last.matrices[0][0])
    assert np.abs(apart.last.matrices[0][0] - apart.last.matrices[0][1]).max() > 1e-4


OPTIMISERS = {"sgd": None, "momentum": optax.sgd(0.1, momentum=0.9), "adam": optax.adam(0.01)}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_run_goes_on_from_its_file_bit_for_bit(name: str, whole: fs.LayerRun, monkeypatch, tmp_path) -> None:
    words = {"steps": [0, 50, 100, 200], "batch": BATCH, "seed": [3, 4], "v": V, "optimiser": OPTIMISERS[name]}
    unbroken = whole if name == "sgd" else sgd(LAW, starts(), 0.1, **words)
    reads, inner = 0, Networks.read

    def stop(self, state, status):
        nonlocal reads
        reads += 1
        if reads == 3:
            raise KeyboardInterrupt
        return inner(self, state, status)

    monkeypatch.setattr(Networks, "read", stop)
    part = sgd(LAW, starts(), 0.1, **words)
    assert (part.status == "stopped").all()
    again = sgd(LAW, starts(), 0.1, **words, resume=fs.layers.load_layers(part.save(tmp_path / "part.nc")))
    np.testing.assert_array_equal(again.log_norm, unbroken.log_norm)
    np.testing.assert_array_equal(again.log_tan_half_angle, unbroken.log_tan_half_angle)
    for found, expected in zip(again.last.matrices, unbroken.last.matrices, strict=True):
        np.testing.assert_array_equal(found, expected)
    if name == "momentum":
        for found, expected in zip(unbroken[0].last.matrices, by_hand(starts()[0], batches(3, 200), 0.1, 0.9), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="`resume` is another run: its seed is"):
        sgd(LAW, starts(), 0.1, **{**words, "seed": [3, 5]}, resume=part)


def test_the_mean_over_seeds_is_descent_on_the_population() -> None:
    """One step from w: its mean is eta grad L, with label noise too, and its spread that of a mean of B samples."""
    population, w = fs.PopulationRisk(LAW, 0.1), np.array([0.9, -0.5])
    run = sgd(population, fs.Layers([w[None, :]]), 1.0, [1], BATCH, seed=range(200), v=V)
    pushes = w - run.last.end_to_end
    error = pushes.std(axis=0, ddof=1) / np.sqrt(200)
    assert (np.abs(pushes.mean(axis=0) - population.gradient(w, V)) < DEVIATIONS * error).all()
    data = draw(population, 40_000, seed=9, v=V)
    one = -data.points * expit(-(data.points @ w))[:, None]
    np.testing.assert_allclose(pushes.std(axis=0, ddof=1), one.std(axis=0) / np.sqrt(BATCH), rtol=DEVIATIONS / np.sqrt(400))


def test_batches_out_of_a_data_set_are_drawn_with_replacement() -> None:
    data = draw(LAW, 30, seed=1, v=V)
    run = sgd(data, starts()[0], 0.1, [0, 100], BATCH, seed=3)
    blocks = [data.points[np.random.default_rng([3, number, STREAM]).integers(0, 30, BLOCK * BATCH)] for number in range(2)]
    points = np.concatenate([block.reshape(BLOCK, BATCH, 2) for block in blocks])[:100]
    for found, expected in zip(run.last.matrices, by_hand(starts()[0], points, 0.1), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    risk = fs.samples.EmpiricalRisk(data)
    assert run.observed["empirical_risk"][-1] == pytest.approx(float(risk.value(run.last.end_to_end)), rel=1e-13)
    np.testing.assert_array_equal(run.v, data.v)


def test_a_step_that_is_too_large_overflows_and_leaves_the_others_alone(whole: fs.LayerRun) -> None:
    both = fs.Layers([np.stack([1e102 * a, b]) for a, b in zip(starts()[0].matrices, starts()[1].matrices, strict=True)])
    run = sgd(LAW, both, 0.1, [0, 50, 100, 200], BATCH, seed=[3, 4], v=V)
    assert run.status.tolist() == ["overflow", "ok"]
    np.testing.assert_array_equal(run.log_norm[1], whole.log_norm[1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"source": "circle"}, "`source` must be a law such as"),
        ({"start": [[1.0, 0.0]]}, "`start` must be flowsim.Layers"),
        ({"start": fs.Layers([[[1.0, 0.0, 0.0]]])}, "`start` must have inputs of dimension 2"),
        ({"step_size": -1.0}, "`step_size` must be positive"),
        ({"batch": 0}, "`batch` must be a whole number, 1 or more, but is 0"),
        ({"seed": -1}, "`seed` must be a whole number, 0 or more, but is -1"),
        ({"seed": [1, 2, 3]}, r"`seed` must broadcast against the start's shape \(2,\), but has shape \(3,\)"),
        ({"v": [0.0, 0.0]}, "`v` must be a nonzero vector"),
        ({"optimiser": 0.1}, "`optimiser` must be an optax.GradientTransformation, such as"),
        ({"observe": ["empirical_risk"]}, "`observe` must be one of layer_norm, .* but is 'empirical_risk'"),
        ({"source": draw(LAW, 5), "v": V}, "`v` must be left out where `source` is a DataSet"),
    ],
)
def test_bad_input_is_refused(words: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sgd(**{"source": LAW, "start": starts(), "steps": 3, **words})
