"""PyTorch, from the same start on the same data: its layers, loss and optimiser against `sample_descent`, step by step."""

import warnings

import numpy as np
import pytest

import flowsim as fs
from flowsim.samples import DataSet, draw, sample_descent
from flowsim.samples.networks import Networks, matrices_of

STEPS = 400
STEP_SIZE = 0.5
AGREEMENT = 1e-10
"""Of every matrix and predictor, relative to its largest entry, at every step; some 1e-14 is found."""


@pytest.fixture(scope="module")
def torch():
    with warnings.catch_warnings():
        # of its own, while it is imported
        warnings.simplefilter("ignore", (DeprecationWarning, FutureWarning, UserWarning))
        module = pytest.importorskip("torch", reason="PyTorch, of the extra `bench`, is not installed", exc_type=ImportError)
    threads = module.get_num_threads()
    # several only wait for each other at this size
    module.set_num_threads(1)
    yield module
    module.set_num_threads(threads)


def by_torch(torch, data: DataSet, start: fs.Layers) -> list[list[np.ndarray]]:
    """The matrices after each step, [step][layer]."""
    sizes = [(matrix.shape[1], matrix.shape[0]) for matrix in start.matrices]
    model = torch.nn.Sequential(*(torch.nn.Linear(*size, bias=False, dtype=torch.float64) for size in sizes))
    with torch.no_grad():
        for layer, matrix in zip(model, start.matrices, strict=True):
            layer.weight.copy_(torch.tensor(matrix))
    x, y = torch.tensor(data.x), torch.tensor((data.y + 1.0) / 2.0)
    loss, optimiser = torch.nn.BCEWithLogitsLoss(), torch.optim.SGD(model.parameters(), lr=STEP_SIZE)
    path = []
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss(model(x)[:, 0], y).backward()
        optimiser.step()
        path.append([layer.weight.detach().numpy().copy() for layer in model])
    return path


def gap(ours: tuple[np.ndarray, ...], theirs: list[np.ndarray]) -> float:
    """The largest over matrices and predictor, relative to the largest entry of each."""
    mine = [matrix[0] for matrix in ours]
    pairs = [*zip(mine, theirs, strict=True), (fs.Layers(mine).end_to_end, fs.Layers(theirs).end_to_end)]
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


@pytest.mark.parametrize(("depth", "width"), [(1, 1), (2, 1), (2, 8), (3, 4), (4, [8, 3, 1])])
def test_every_step_is_pytorchs(torch, depth: int, width, monkeypatch) -> None:
    data = draw(fs.Gaussian(dim=5), 100, seed=2, label_noise=0.05)
    start = fs.layers.pytorch_default(dim=5, depth=depth, width=width, seeds=1)
    ours, read = [], Networks.read
    monkeypatch.setattr(Networks, "read", lambda self, state, status: ours.append(matrices_of(state)) or read(self, state, status))
    run = sample_descent(data, start, STEP_SIZE, np.arange(STEPS + 1), observe=[])
    theirs = by_torch(torch, data, start)
    gaps = np.array([gap(mine, other) for mine, other in zip(ours[1:], theirs, strict=True)])
    assert gaps.max() < AGREEMENT, (int(gaps.argmax()), gaps.max())
    w = np.array([fs.Layers(matrices).end_to_end for matrices in theirs])
    np.testing.assert_allclose(run.norm[1:], np.linalg.norm(w, axis=-1), rtol=AGREEMENT)
    assert max(np.abs(last - first).max() for last, first in zip(theirs[-1], start.matrices, strict=True)) > 0.1
    print(f"depth {depth}, width {width}, {STEPS} steps: largest relative gap of a matrix or predictor {gaps.max():.1e}")
