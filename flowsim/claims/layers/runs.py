"""Flows of matrices that several claims look at, solved once: batches of eight, so that one program a depth serves any number of seeds."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from flowsim.claims.settings import Setting
from flowsim.claims.units import with_power_tails
from flowsim.layers import (
    STARTS,
    LayerRun,
    Layers,
    balanced_rank_one,
    gaussian,
    he,
    identity,
    layer_flow,
    orthogonal,
    pytorch_default,
    xavier,
)
from flowsim.problem import Gaussian, Laplace, Law, PopulationRisk, Sphere, StudentT

BATCH = 8
"""Networks that run together. Another number of them would be compiled anew."""
WIDTH = 3
"""Of the hidden layers: one shape a depth, in dimension 3."""

DEEPEST = 8
"""Every layer is compiled by itself, so that a hundred would take minutes."""

GENERIC = ("gaussian", "xavier", "he", "pytorch_default")
"""Starts without symmetry, taken in turn: every imbalance has full rank."""

LAST = 1e8
TIMES = np.concatenate([10.0 ** np.arange(0.0, 5.0, 0.5), 10.0 ** np.linspace(5.0, 8.0, 19)])
"""To `LAST`: every seed's late exponent is fitted to the last three decades."""
MIXED_TIMES = 10.0 ** np.linspace(-1.0, 4.0, 26)

Cases = list[tuple[PopulationRisk, int, int]]
"""A risk, a depth, and how many seeds."""


def own_laws(setting: Setting) -> tuple[Law, ...]:
    """Of claims that each have their law compiled for dimension 3."""
    return (Gaussian(3), Sphere(3), Laplace(3), StudentT(3, 3.0)) if setting.thorough else (Gaussian(3),)


def layer_risks(setting: Setting) -> tuple[PopulationRisk, ...]:
    """On the laws asked for, or on `own_laws`."""
    return setting.risks_or(*own_laws(setting))


def tailed_risks(setting: Setting) -> tuple[PopulationRisk, ...]:
    """Those with a power tail."""
    return with_power_tails(layer_risks(setting))


def teacher(dim: int) -> np.ndarray:
    """v, (dim,), along no axis, where some starts have their own."""
    v = np.arange(1.0, dim + 1.0) * (-1.0) ** np.arange(dim)
    return v / np.linalg.norm(v)


def joined(networks: Sequence[Layers]) -> Layers:
    """Networks or batches of them as one batch."""
    parts = ([matrix if network.shape else matrix[None] for matrix in network.matrices] for network in networks)
    return Layers([np.concatenate(matrices) for matrices in zip(*parts, strict=True)])


def drawn(kinds: Sequence[str], dim: int, depth: int, seeds: Sequence[int], width: int = WIDTH) -> Layers:
    """One network a seed, of these kinds in turn."""
    return joined([STARTS[kinds[seed % len(kinds)]](dim, depth, width, seeds=int(seed)) for seed in seeds])


@lru_cache(maxsize=256)
def late_flow(risk: PopulationRisk, depth: int, kinds: tuple[str, ...], first: int, width: int = WIDTH) -> LayerRun:
    """Of the seeds first, ..., first + BATCH - 1, to `LAST`. RuntimeError where one fails."""
    start = drawn(kinds, risk.law.dim, depth, range(first, first + BATCH), width)
    run = layer_flow(risk, start, TIMES, v=teacher(risk.law.dim), observe=())
    run.require_ok()
    return run


def late_flows(risk: PopulationRisk, depth: int, kinds: tuple[str, ...], seeds: int, seed: int = 0, width: int = WIDTH) -> list[LayerRun]:
    """Of this many seeds, `BATCH` a run; from another ``seed`` other ones."""
    return [late_flow(risk, depth, kinds, 1000 * seed + k, width) for k in range(0, seeds, BATCH)]


@lru_cache(maxsize=64)
def mixed_flow(risk: PopulationRisk, depth: int, seed: int = 0) -> LayerRun:
    """One start of each kind, and one that nearly attains each of the two bounds, to t = 1e4, with what the layers look like."""
    dim = risk.law.dim
    start = joined(
        [
            *(kind(dim, depth, WIDTH, seeds=seed) for kind in (gaussian, orthogonal, xavier, he, pytorch_default)),
            identity(dim, depth, WIDTH),
            excess_start(dim, depth),
            aligned_start(dim, depth),
        ]
    )
    run = layer_flow(risk, start, MIXED_TIMES, v=teacher(dim), observe=("layer_norm", "spectral_norm", "imbalance_drift", "alignment"))
    run.require_ok()
    return run


MIXED = (
    "gaussian",
    "orthogonal",
    "xavier",
    "he",
    "pytorch_default",
    "identity",
    "near the bound on the excess",
    "near the bound on the angle",
)
"""What the networks of `mixed_flow` are."""


def _frame(dim: int) -> np.ndarray:
    """Orthonormal rows (WIDTH or fewer, dim), the first along the teacher."""
    v = teacher(dim)
    columns = np.linalg.qr(np.column_stack([v, np.eye(dim)]))[0].T
    columns[0] = v
    return columns[: min(WIDTH, dim)]


def excess_start(dim: int, depth: int) -> Layers:
    """Diagonal layers up to a thousandth, in a frame along v: each B_j has its least eigenvalue along the largest singular value.

    There |W_k|_F^2 - |W_k|^2 = D_k, at every time of the flow.
    """
    noise = gaussian(dim, depth, WIDTH, scale=1e-3)
    falling, third = np.arange(depth - 1, 0, -1) / (depth - 1), 0.5 if dim > 2 else 0.0
    layers = []
    for j, small in enumerate(noise.matrices):
        sizes = np.array([1.5, falling[j], third * falling[j]]) if j < depth - 1 else np.array([1.5])
        matrix = np.zeros((len(sizes), WIDTH))
        matrix[:, : len(sizes)] = np.diag(sizes)
        if j == 0:
            frame = _frame(dim)
            matrix = matrix[:, : len(frame)] @ frame
        layers.append(matrix + small)
    return Layers(layers)


def aligned_start(dim: int, depth: int) -> Layers:
    """B_1 with eigenvalues near +-0.05, their vectors at half a right angle to W_1 v; balanced above.

    There 1 - <v_2, u_1>^2 tends to (e/2)^2/|W_1|^4, e the spread of the eigenvalues.
    """
    shift = 0.05
    first = np.zeros((WIDTH, min(WIDTH, dim)))
    # the lower triangle of W_1 W_1^T = a a^T + B_1, a = 1.5 e_1
    first[0, 0], first[1, 0] = 1.5, shift / 1.5
    first[1, 1] = 0.01
    top = np.zeros((WIDTH, WIDTH))
    top[0, 0] = 1.5
    return Layers([first @ _frame(dim), *[top] * (depth - 2), top[:1]])


def rank_one_batch(dim: int, depth: int, width: int, seed: int, spread: float) -> Layers:
    """`BATCH` rank-one networks, each layer multiplied by exp(u), u uniform in +-spread: balanced where that is 0."""
    network = balanced_rank_one(dim, depth, width, seeds=range(BATCH * seed, BATCH * (seed + 1)))
    factors = np.exp(np.random.default_rng(seed).uniform(-spread, spread, (depth, BATCH)))
    return Layers([matrix * factor[:, None, None] for matrix, factor in zip(network.matrices, factors, strict=True)])
