"""SGD on fresh batches of 1000: samples a second, beside NumPy and PyTorch drawing the same law and taking the same steps."""

from collections.abc import Callable
from functools import partial
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np
from scipy.special import expit

import flowsim as fs
from benchmarks.layers import fast_threads, in_rounds, ratio, torch_or_none
from benchmarks.timing import Row

ETA, BATCH, STEPS, FEW, ROUNDS = 1e-3, 1000, 3000, 300, 7
"""FEW: steps of the others in one timing, which cost them the same each."""


def _draw(generator: np.random.Generator, dim: int, circle: bool) -> np.ndarray:
    """A batch y x, labelled by the first axis, as ours are."""
    x = generator.standard_normal((BATCH, dim))
    if circle:
        x /= np.sqrt((x * x).sum(axis=1))[:, None]
    x *= np.where(x[:, 0] >= 0.0, 1.0, -1.0)[:, None]
    return x


def _draws(dim: int, circle: bool) -> Callable[[], Any]:
    """The batches alone."""
    generator = np.random.default_rng(0)
    return lambda: [_draw(generator, dim, circle) for _ in range(FEW)]


def _in_numpy(start: fs.Layers, circle: bool) -> Callable[[], Any]:
    """Batches and chain rule by hand."""
    matrices, generator = [np.array(matrix) for matrix in start.matrices], np.random.default_rng(0)

    def run() -> None:
        for _ in range(FEW):
            x = _draw(generator, start.dim, circle)
            rows = [np.ones(1)]
            for matrix in matrices[::-1]:
                rows.append(rows[-1] @ matrix)
            below = -(expit(-(x @ rows[-1])) @ x) / BATCH
            for j, row in enumerate(rows[-2::-1]):
                push, below = np.outer(row, below), matrices[j] @ below
                matrices[j] -= ETA * push

    return run


def _in_torch(torch: ModuleType, start: fs.Layers, circle: bool, dtype: Any) -> Callable[[], Any]:
    """torch.nn.Linear layers without bias, BCEWithLogitsLoss and SGD; the forward pass is on samples, layer by layer."""
    layers = [torch.nn.Linear(matrix.shape[1], matrix.shape[0], bias=False, dtype=dtype) for matrix in start.matrices]
    with torch.no_grad():
        for layer, matrix in zip(layers, start.matrices, strict=True):
            layer.weight.copy_(torch.tensor(matrix))
    model, loss = torch.nn.Sequential(*layers), torch.nn.BCEWithLogitsLoss()
    optimiser = torch.optim.SGD(model.parameters(), lr=ETA)
    generator = torch.Generator().manual_seed(0)

    def run() -> None:
        for _ in range(FEW):
            x = torch.randn((BATCH, start.dim), generator=generator, dtype=dtype)
            if circle:
                x /= x.norm(dim=1, keepdim=True)
            optimiser.zero_grad()
            loss(model(x)[:, 0], (x[:, 0] >= 0.0).to(dtype)).backward()
            optimiser.step()

    return run


def _rate(times: list[float], steps: int) -> str:
    least, middle, largest = (steps * BATCH / t for t in (max(times), median(times), min(times)))
    return f"{middle:.3g} samples a second ({least:.3g} to {largest:.3g})"


def _case(what: str, law: fs.Law, start: fs.Layers) -> list[Row]:
    circle, torch = isinstance(law, fs.Sphere), torch_or_none()
    calls: dict[str, Callable[[], Any]] = {
        "ours": partial(fs.samples.sgd, law, start, ETA, [STEPS], BATCH, observe=()),
        "NumPy": _in_numpy(start, circle),
        "the batches alone, drawn by NumPy": _draws(start.dim, circle),
    }
    if torch is None:
        times = in_rounds(calls, ROUNDS)
        out = [Row(f"SGD, {what}, PyTorch", "not installed")]
    else:
        calls |= {f"PyTorch, {name}": _in_torch(torch, start, circle, getattr(torch, name)) for name in ("float64", "float32")}
        with fast_threads(torch, calls["PyTorch, float64"]):
            times, out = in_rounds(calls, ROUNDS), []
    ours = [t / STEPS for t in times["ours"]]
    others = [name for name in calls if name != "ours"]
    return [
        Row(f"SGD, {what}, batch {BATCH}", _rate(times["ours"], STEPS)),
        *(
            Row(f"the same, {name}", _rate(times[name], FEW), f"{ratio([t / FEW for t in times[name]], ours)} times as long")
            for name in others
        ),
        *out,
    ]


def rows() -> list[Row]:
    return [
        *_case("circle, d = 2, N = 4, width 2", fs.Sphere(dim=2), fs.layers.unit_vectors([0.6, -0.8], depth=4, width=2)),
        *_case("Gaussian, d = 10, N = 4, width 10", fs.Gaussian(dim=10), fs.layers.gaussian(dim=10, depth=4, width=10)),
    ]
