"""Runs that the claims of this chapter share: networks of several kinds on mixtures that a plane separates clearly, to log t = 1e4."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from flowsim.claims.settings import OutOfScope, Setting
from flowsim.finite import (
    HomogeneousRun,
    TrainingSet,
    convolution,
    custom,
    deep_linear,
    homogeneous_flow,
    leaky_relu_network,
    log_log_times,
    mixture,
    relu_network,
    squared_relu_network,
)
from flowsim.samples import max_margin

SIZE, DIM, SIGNAL = 16, 5, 2.0
SEEDS, THOROUGH_SEEDS = 3, 12
LAST, RECORDS = 1e4, 120
LOG_TIMES = log_log_times(LAST, RECORDS)
OCTAVES = 4
"""Of log t at the end, over which exponents are read off."""
WIDEST = 15.0
"""|x| over the margin, at most: an explicit solver takes the square of that many steps."""
DRAWS = 400
STREAM = 790

LINEAR_DEPTHS = (1, 2, 3)
BENT = ("ReLU", "leaky ReLU")
BENT_THOROUGH = (*BENT, "leaky ReLU, three layers", "squared ReLU", "convolution")
"""Networks that are not linear; their names are those of the cases."""


def network_of(kind: str) -> Any:
    """By its name."""
    made: dict[str, Any] = {
        "ReLU": relu_network(DIM, [8]),
        "leaky ReLU": leaky_relu_network(DIM, [8], 0.2),
        "leaky ReLU, three layers": leaky_relu_network(DIM, [8, 8], 0.2),
        "squared ReLU": squared_relu_network(DIM, [6]),
        "convolution": convolution(DIM),
    }
    return made[kind] if kind in made else deep_linear(DIM, int(kind.removeprefix("linear, N = ")), 8)


def linear(depth: int) -> str:
    """The name of a deep linear network."""
    return f"linear, N = {depth}"


def seeds_of(setting: Setting) -> int:
    """How many data sets and starts a claim is measured over."""
    return THOROUGH_SEEDS if setting.thorough else SEEDS


def require_own_data(setting: Setting) -> None:
    """OutOfScope where laws were asked for: these statements are about data sets, whatever they were drawn from."""
    if setting.laws is not None:
        raise OutOfScope("speaks of finite data sets, and is measured on mixtures, not on samples of a spherically symmetric law")


def linear_kinds(setting: Setting, low: int = 1) -> list[str]:
    """The deep linear networks asked for."""
    require_own_data(setting)
    return [linear(depth) for depth in setting.depths_or(tuple(n for n in LINEAR_DEPTHS if n >= low), low=low, high=6)]


def bent_kinds(setting: Setting) -> tuple[str, ...]:
    """The networks that are not linear; OutOfScope where depths were asked for."""
    require_own_data(setting)
    if setting.depths is not None:
        raise OutOfScope("speaks of networks that are not linear, whose layers are not counted by N")
    return BENT_THOROUGH if setting.thorough else BENT


@lru_cache(maxsize=8)
def data_sets(count: int, seed: int) -> tuple[TrainingSet, ...]:
    """Mixtures of `SIZE` samples that a plane separates with a margin of |x|/`WIDEST` or more."""
    generator, out = Setting(seed=seed).generator(STREAM), []
    for _ in range(DRAWS):
        data = mixture(SIZE, DIM, SIGNAL, seed=int(generator.integers(2**31)))
        try:
            margin = max_margin(data).margin
        except ValueError:
            continue
        if float(np.linalg.norm(data.x, axis=1).max()) < WIDEST * margin:
            out.append(data)
        if len(out) == count:
            return tuple(out)
    raise OutOfScope(f"needs {count} data sets with a clear margin, and {DRAWS} drawn had {len(out)}")


@lru_cache(maxsize=64)
def flows(kind: str, count: int, seed: int) -> tuple[HomogeneousRun, ...]:
    """One flow a data set, each from a start of its own."""
    network, out = network_of(kind), []
    for k, data in enumerate(data_sets(count, seed)):
        run = homogeneous_flow(network, data, network.start(seed=count * seed + k), LOG_TIMES)
        run.require_ok()
        out.append(run)
    return tuple(out)


def every_flow(kinds: Sequence[str], setting: Setting) -> list[tuple[str, HomogeneousRun]]:
    """Each flow with the name of its case."""
    return [(f"{kind}, seed {k}", run) for kind in kinds for k, run in enumerate(flows(kind, seeds_of(setting), setting.seed))]


def exponent(run: HomogeneousRun, values: np.ndarray, log_of: np.ndarray | None = None) -> float:
    """d log(values)/d log log t over the last `OCTAVES` doublings of log t, by least squares; log_of: in the place of log log t."""
    late = run.log_time >= run.log_time[-1] / 2.0**OCTAVES
    against = np.log(run.log_time[late]) if log_of is None else log_of[late]
    return float(np.polyfit(against, np.log(values[late]), 1)[0])


def spread(values: Sequence[float]) -> str:
    """Median, least and largest."""
    array = np.asarray(values, dtype=float)
    return f"{np.median(array):.4g} ({array.min():.4g} to {array.max():.4g})"


@lru_cache(maxsize=1)
def biased_network() -> Any:
    """Of degrees 1 and 2 at once, which is no degree: a two-layer ReLU network and a linear predictor beside it."""
    inner = relu_network(DIM, [4])
    return custom(lambda w, x: inner.outputs(w["layers"], x, 1e-4) + x @ w["skip"], order=2, name="ReLU and linear")
