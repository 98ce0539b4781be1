"""Two-layer leaky ReLU networks that fit all labels of a mixture, and what that costs on others: benign or harmful overfitting."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np

from flowsim.finite.complementarity import multipliers
from flowsim.finite.limits import leaky_limit
from flowsim.finite.mixtures import NOISES, linear_test_error, mixture
from flowsim.finite.neuron_error import error_on_lines
from flowsim.finite.neurons import check_slope, derivatives, descend, leaky, log_mean_exp, margins_gram, neuron_signs, neuron_start
from flowsim.finite.training_set import TrainingSet
from flowsim.sweeps.kinds.kind import Argument, Columns, Kind, Part, Quantity, Wanted

TEST_SAMPLES = 4000
"""Where the noise is not spherical, and the error has to be counted."""

NUMBERS = {
    "test_error": Quantity("probability of a wrong label on new samples"),
    "train_error": Quantity("share of training labels that are not fitted"),
    "margin": Quantity("smallest y f(x), relative to |W|"),
    "distance_to_limit": Quantity("1 - cos between W and the max-margin network"),
    "log_loss": Quantity("log L"),
    "test_error_spread": Quantity("standard error of the test error, from what of the noise is drawn"),
    "activated": Quantity("step from which on neurons are active on all samples of their label", kind="int"),
    "settled": Quantity("step from which on every neuron is on its side of every sample", kind="int"),
}

BLOCK = 1 << 20
"""Numbers in the Gram matrices that are descended on at once: 8 MiB."""

COPIES = 8
"""Numbers that a step holds for each neuron and sample."""


class _Seen(NamedTuple):
    """Of one data set: itself, y, W(0), K = X X^T, <w_j(0), x_i> and <x_i, mu>."""

    data: TrainingSet
    labels: np.ndarray
    start: np.ndarray
    gram: np.ndarray
    first: np.ndarray
    signal: np.ndarray


def _run(common: Mapping[str, Any], columns: Columns, wanted: Wanted, records: Mapping[str, np.ndarray]) -> Part:
    """As many at a time as have room in a processor's cache."""
    blocks = -(-columns["seed"].size // max(BLOCK // common["samples"] ** 2, 1))
    parts = []
    with _one_thread():
        for members in np.array_split(np.arange(columns["seed"].size), blocks):
            parts.append(_block(common, {name: values[members] for name, values in columns.items()}, wanted.numbers))
    numbers = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    status = np.where(numbers["train_error"] == 0.0, "ok", "not_separated")
    return Part(status, {}, {name: numbers[name] for name in wanted.numbers})


def _one_thread() -> AbstractContextManager[Any]:
    """Of BLAS, where threadpoolctl is there to tell it: on matrices this small, threads that find no processor free cost tenfold."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return nullcontext()
    return threadpool_limits(1)


def _block(common: Mapping[str, Any], columns: Columns, names: Sequence[str]) -> dict[str, np.ndarray]:
    """All `NUMBERS`, those that cost something only where ``names`` has them."""
    signs, slope, descent = neuron_signs(common["width"]), common["slope"], common["method"] == "descent"
    tested = common["noise"] == "polynomial" and bool({"test_error", "test_error_spread"} & set(names))
    seen = [_seen(common, columns, i, tested) for i in range(columns["seed"].size)]
    grams, labels, first = (np.array([getattr(one, name) for one in seen]) for name in ("gram", "labels", "first"))
    limits = np.full(first.shape, np.nan)
    if not descent or "distance_to_limit" in names:
        limits = np.array([_limit(one, signs, slope) for one in seen])
    coefficients, activated, settled = limits, *np.full((2, len(seen)), -1)
    if descent:
        # of n equal samples, a step eta multiplies what the margins are apart by 1 - eta |x|^2/n
        mean_square = np.einsum("bii->b", grams) / labels.shape[1]
        step_size = columns["step_size"] * labels.shape[1] / mean_square
        found, activated, settled = descend(grams, first, labels, signs, slope, step_size, np.array([common["steps"]]), True)
        coefficients = found[:, 0]
    each = enumerate(zip(seen, coefficients, limits, strict=True))
    rows = [_numbers(common, columns, i, one, c, limit, signs) for i, (one, c, limit) in each]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]} | {"activated": activated, "settled": settled}


def _seen(common: Mapping[str, Any], columns: Columns, i: int, tested: bool) -> _Seen:
    size, dim, seed = common["samples"], common["dim"], int(columns["seed"][i])
    law = (float(columns["signal"][i]), common["noise"], common["df"], float(columns["label_noise"][i]))
    data = mixture(size, dim, *law, seed, TEST_SAMPLES if tested else 0)
    start = neuron_start(common["width"], dim, float(columns["start_scale"][i]), seed)
    if common["method"] == "limit":
        start = np.zeros(start.shape)
    return _Seen(data, data.y, start, data.x @ data.x.T, start @ data.x.T, data.x @ data.signal)


def _limit(one: _Seen, signs: np.ndarray, slope: float) -> np.ndarray:
    """c_ji of the max-margin network, (m, n); nan where there is none."""
    try:
        found = multipliers(margins_gram(one.gram, one.labels, signs, slope))
    except ValueError:
        # points that depend on each other have their limit too
        try:
            found = leaky_limit(one.data, slope, signs.size // 2, signs.size // 2).multipliers
        except ValueError:
            return np.full((signs.size, one.labels.size), np.nan)
    return signs[:, None] * derivatives(one.labels, signs, slope) * (found * one.labels)


def _numbers(
    common: Mapping[str, Any], columns: Columns, i: int, one: _Seen, c: np.ndarray, limit: np.ndarray, signs: np.ndarray
) -> dict[str, float]:
    """What is told of the network of weights W(0) + c X."""
    if not np.isfinite(c).all():
        return {**dict.fromkeys(NUMBERS, np.nan), "train_error": 1.0}
    inner, mixed = one.first + c @ one.gram, c @ one.first.T
    q = one.labels * (signs @ leaky(inner, common["slope"]))
    weights = one.start @ one.start.T + mixed + mixed.T + c @ one.gram @ c.T
    norm = np.sqrt(np.trace(weights))
    error, spread = _test_error(common, columns, i, one, c, weights, signs)
    size = np.sqrt(((limit @ one.gram) * limit).sum())
    gap = c / norm - limit / size
    # |W/|W| - W'/|W'||^2/2 keeps its digits where the two are close; the start is no part of the limit
    rest = (np.trace(one.start @ one.start.T) / norm + 2.0 * (one.first * gap).sum()) / norm
    return {
        "test_error": error,
        "train_error": float((q <= 0.0).mean()),
        "margin": float(q.min() / norm),
        "distance_to_limit": float(0.5 * (((gap @ one.gram) * gap).sum() + rest)),
        "log_loss": float(log_mean_exp(-q)) if common["method"] == "descent" else -np.inf,
        "test_error_spread": spread,
    }


def _test_error(
    common: Mapping[str, Any], columns: Columns, i: int, one: _Seen, c: np.ndarray, weights: np.ndarray, signs: np.ndarray
) -> tuple[float, float]:
    """And its standard error. Exact of a max-margin network, whose boundary is a plane; counted where the noise is not spherical."""
    noise, df, mu = common["noise"], common["df"], float(columns["signal"][i])
    if noise == "polynomial":
        data = one.data
        if data.test_x is None:
            return np.nan, np.nan
        outputs = signs @ leaky((one.start + c @ data.x) @ data.test_x.T, common["slope"])
        wrong = float((data.test_y * outputs <= 0.0).mean())
        return wrong, float(np.sqrt(wrong * (1.0 - wrong) / TEST_SAMPLES))
    means = one.start @ one.data.signal + c @ one.signal
    if common["method"] == "descent":
        return error_on_lines(weights, means, signs, common["slope"], df, int(columns["seed"][i]))
    along = float(signs @ means) / mu if mu > 0.0 else 0.0
    across = np.sqrt(max(float(signs @ weights @ signs) - along**2, 0.0))
    return float(linear_test_error([along, across], mu, noise, df)), 0.0


def _prepare(values: Mapping[str, Any]) -> None:
    neuron_signs(values["width"])
    check_slope(values["slope"])
    mixture(1, 1, 0.0, values["noise"], values["df"], values["label_noise"])


def _arrays(values: Mapping[str, Any]) -> tuple[int, int]:
    """Of one data set, its Gram matrix twice, and what a step makes of all neurons and samples."""
    n, dim, width = (int(values[name]) for name in ("samples", "dim", "width"))
    return 0, n * dim + 2 * n**2 + (COPIES * n + dim) * width


MIXTURE = Kind(
    "mixture",
    (
        Argument("samples", "whole", 64, "number of samples n", low=1, rank=8),
        Argument("dim", "whole", 1000, "dimension d of x", low=1, rank=6),
        Argument("signal", "number", 1.0, "signal |mu|, half of what the classes are apart", low=0.0, rank=1, batched=True),
        Argument("noise", "name", "gaussian", "law of the noise around mu", names=NOISES, rank=7),
        Argument("df", "number", None, "degrees of freedom of the noise", low=2.0, strict=True, rank=7),
        Argument("label_noise", "number", 0.0, "probability with which a label is flipped", low=0.0, high=0.5, rank=3, batched=True),
        Argument("slope", "number", 0.1, "slope gamma of the leaky ReLU", low=0.0, high=1.0, rank=5),
        Argument("width", "whole", 4, "number of neurons m", low=2, rank=7),
        Argument("start_scale", "number", 1e-4, "norm of a neuron at the start, about", low=0.0, strict=True, rank=1, batched=True),
        Argument(
            "step_size",
            "number",
            1.0,
            "step size eta of the descent on log L, times mean |x|^2/n",
            low=0.0,
            strict=True,
            rank=2,
            batched=True,
        ),
        Argument("steps", "whole", 1000, "number of steps", low=1, rank=7),
        Argument("method", "name", "descent", "how the network is found", names=("descent", "limit"), rank=8),
        Argument("seed", "whole", 0, "seed of the data and of the start", low=0, rank=0, batched=True),
    ),
    (),
    {},
    NUMBERS,
    lambda fixed: {},
    _run,
    _prepare,
    _arrays,
)
