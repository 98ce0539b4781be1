r"""Where networks start: W_1, ..., W_N from a predictor, or drawn by one of the usual initialisers, each from its own seed.

A layer's numbers depend on its seed, its place and its shape alone, so that a seed gives the same network in whichever batch it is, and
starts that differ only in scale are one network scaled. W_j has n_(j-1) columns, its fan-in, n_0 = d, and n_j rows, its fan-out, n_N = 1.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float

from flowsim import arguments
from flowsim.layers.network import DEEPEST, Layers
from flowsim.problem import Start

Array = Float[np.ndarray, "..."]


def balanced(w: Any, depth: int, width: Any = 1, seeds: Any = 0) -> Layers:
    r"""W_j = |w|^(1/N) u_(j+1) u_j^T, u_1 = w/|w|, |u_j| = 1, u_(N+1) = 1: rank one, W_N ... W_1 = w^T, and every imbalance 0.

    w: (..., d), nonzero, the predictor.  depth: N, 1 to 100.
    width: of the hidden layers, one number for all or N-1 of them.
    seeds: of u_2, ..., u_N, uniform on their spheres (1 at width 1); an array of seeds broadcasts with w's leading shape to the batch's.

    ValueError naming the argument that is out of range. Source: Lin, Sun, Zhang 2021, equation 7, for what balance is.

    >>> import flowsim as fs
    >>> network = fs.layers.balanced([3.0, 4.0], depth=3, width=8, seeds=[0, 1])
    >>> network.shape, network.widths, network.end_to_end.round(12).tolist()
    ((2,), (8, 8), [[3.0, 4.0], [3.0, 4.0]])
    >>> bool(max(abs(difference).max() for difference in network.imbalances) < 1e-14)
    True
    """
    predictor, length = _predictor(w)
    shapes, seed_array = _asked(predictor.shape[-1], depth, width, seeds)
    size = np.asarray(length ** (1.0 / depth))
    # W_1 from w itself: its entries keep their digits however far apart they are
    return _rank_one(predictor * (size / length)[..., None], size, shapes, seed_array)


def balanced_rank_one(dim: int, depth: int, width: Any = 1, norm: float = 1.0, seeds: Any = 0) -> Layers:
    r"""`balanced` from a predictor of a uniformly random direction.

    dim: d, 2 or more.  depth: N, 1 to 100.  width: of the hidden layers, one number for all or N-1 of them.
    norm: |w|, positive.  seeds: a number, or an array of them, whose shape is the batch's.

    ValueError naming the argument that is out of range.

    >>> import numpy as np, flowsim as fs
    >>> network = fs.layers.balanced_rank_one(dim=3, depth=2, width=4, norm=2.0, seeds=[0, 1])
    >>> np.linalg.norm(network.end_to_end, axis=-1).round(12).tolist()
    [2.0, 2.0]
    """
    shapes, seed_array = _asked(dim, depth, width, seeds)
    length = arguments.real("norm", norm, low=0.0, strict=True)
    size = length ** (1.0 / depth)
    return _rank_one(size * _units(seed_array, 0, shapes[0][1]), np.asarray(size), shapes, seed_array)


def unit_vectors(w: Any, depth: int, width: Any = 1, seeds: Any = 0) -> Layers:
    r"""W_j = u_(j+1) u_j^T, u_1 = w/|w|, |u_j| = 1, u_(N+1) = 1: the start of the paper's experiment, `balanced` with |w| = 1.

    w: (..., d), nonzero; only its direction counts.  depth, width, seeds: as in `balanced`.

    ValueError naming the argument that is out of range. Source: Lin, Sun, Zhang 2021, figure 1.

    >>> import flowsim as fs
    >>> network = fs.layers.unit_vectors([3.0, -4.0], depth=4, width=5)
    >>> network.depth, network.end_to_end.round(12).tolist()
    (4, [0.6, -0.8])
    """
    predictor, length = _predictor(w)
    shapes, seed_array = _asked(predictor.shape[-1], depth, width, seeds)
    return _rank_one(predictor / length[..., None], np.ones(()), shapes, seed_array)


def gaussian(dim: int, depth: int, width: Any = 1, scale: float = 1.0, seeds: Any = 0) -> Layers:
    r"""Entries scale n_(j-1)^(-1/2) N(0, 1), independent: E|W_j x|^2 = scale^2 (n_j/n_(j-1)) |x|^2, and |w| is about scale^N.

    dim: d, 2 or more.  depth: N, 1 to 100.  width: of the hidden layers, one number for all or N-1 of them.
    scale: positive.  seeds: a number, or an array of them, whose shape is the batch's.

    ValueError naming the argument that is out of range.

    >>> import flowsim as fs
    >>> network = fs.layers.gaussian(dim=3, depth=3, width=[5, 4], scale=0.1, seeds=range(64))
    >>> network.shape, [matrix.shape[1:] for matrix in network.matrices]
    ((64,), [(5, 3), (4, 5), (1, 4)])
    >>> alone = fs.layers.gaussian(dim=3, depth=3, width=[5, 4], scale=0.1, seeds=7)
    >>> bool((alone.matrices[1] == network.matrices[1][7]).all())
    True
    """
    factor = arguments.real("scale", scale, low=0.0, strict=True)
    return _drawn(dim, depth, width, seeds, lambda rng, shape: factor / np.sqrt(shape[1]) * rng.normal(size=shape))


def orthogonal(dim: int, depth: int, width: Any = 1, scale: float = 1.0, seeds: Any = 0) -> Layers:
    r"""W_j = scale O_j, the rows or the columns of O_j, whichever are fewer, orthonormal, and O_j uniform (Haar) among such.

    dim, depth, width, scale, seeds: as in `gaussian`.

    ValueError naming the argument that is out of range. Source: Saxe, McClelland, Ganguli 2014, arXiv:1312.6120; Mezzadri 2007,
    arXiv:math-ph/0609050, for the signs that make a QR factor uniform.

    >>> import numpy as np, flowsim as fs
    >>> first = fs.layers.orthogonal(dim=3, depth=2, width=5, scale=2.0).matrices[0]
    >>> bool(abs(first.T @ first - 4.0 * np.eye(3)).max() < 1e-14)
    True
    """
    factor = arguments.real("scale", scale, low=0.0, strict=True)

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
        wide = shape[0] < shape[1]
        q, r = np.linalg.qr(rng.normal(size=shape[::-1] if wide else shape))
        q = factor * q * np.where(np.diagonal(r) < 0.0, -1.0, 1.0)
        return q.T if wide else q

    return _drawn(dim, depth, width, seeds, draw)


def xavier(dim: int, depth: int, width: Any = 1, seeds: Any = 0) -> Layers:
    r"""Entries uniform in +-sqrt(6/(n_(j-1) + n_j)), of variance 2/(fan-in + fan-out).

    dim, depth, width, seeds: as in `gaussian`.

    ValueError naming the argument that is out of range. Source: Glorot, Bengio 2010, equation 16.

    >>> import flowsim as fs
    >>> first = fs.layers.xavier(dim=2, depth=2, width=4).matrices[0]
    >>> bool((abs(first) <= 1.0).all())
    True
    """
    return _drawn(dim, depth, width, seeds, lambda rng, shape: np.sqrt(6.0 / sum(shape)) * rng.uniform(-1.0, 1.0, size=shape))


def he(dim: int, depth: int, width: Any = 1, seeds: Any = 0) -> Layers:
    r"""Entries (2/n_(j-1))^(1/2) N(0, 1): `gaussian` of scale sqrt(2), made for ReLU networks, which halve the second moment.

    dim, depth, width, seeds: as in `gaussian`.

    ValueError naming the argument that is out of range. Source: He, Zhang, Ren, Sun 2015, arXiv:1502.01852, equation 10.

    >>> import numpy as np, flowsim as fs
    >>> he, plain = (start(dim=2, depth=2, width=4, seeds=3) for start in (fs.layers.he, fs.layers.gaussian))
    >>> bool(np.allclose(he.matrices[0], np.sqrt(2.0) * plain.matrices[0], rtol=1e-15))
    True
    """
    return gaussian(dim, depth, width, float(np.sqrt(2.0)), seeds)


def pytorch_default(dim: int, depth: int, width: Any = 1, seeds: Any = 0) -> Layers:
    r"""Entries uniform in +-n_(j-1)^(-1/2), of variance 1/(3 fan-in): what torch.nn.Linear does, by kaiming_uniform_ with a = sqrt(5).

    dim, depth, width, seeds: as in `gaussian`. The law is torch's; its numbers from a seed are not.

    ValueError naming the argument that is out of range.

    >>> import flowsim as fs
    >>> first = fs.layers.pytorch_default(dim=4, depth=2, width=3).matrices[0]
    >>> bool((abs(first) <= 0.5).all())
    True
    """
    return _drawn(dim, depth, width, seeds, lambda rng, shape: rng.uniform(-1.0, 1.0, size=shape) / np.sqrt(shape[1]))


def identity(dim: int, depth: int, width: Any = 1, scale: float = 1.0) -> Layers:
    r"""W_j = scale I, ones on the main diagonal of a rectangular matrix: w = scale^N e_1. Nothing is drawn.

    dim, depth, width, scale: as in `gaussian`.

    ValueError naming the argument that is out of range.

    >>> import flowsim as fs
    >>> network = fs.layers.identity(dim=3, depth=2, width=2, scale=0.5)
    >>> network.matrices[0].tolist(), network.end_to_end.tolist()
    ([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]], [0.25, 0.0, 0.0])
    """
    factor = arguments.real("scale", scale, low=0.0, strict=True)
    shapes, _ = _asked(dim, depth, width, 0)
    return Layers([factor * np.eye(*shape) for shape in shapes])


STARTS: Mapping[str, Callable[..., Layers]] = MappingProxyType(
    {
        "balanced_rank_one": balanced_rank_one,
        "gaussian": gaussian,
        "orthogonal": orthogonal,
        "xavier": xavier,
        "he": he,
        "pytorch_default": pytorch_default,
    }
)
"""The starts that dim, depth, width and seeds suffice for, by name."""

OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(STARTS, ()),
        **dict.fromkeys(("gaussian", "orthogonal", "identity"), ("scale",)),
        "balanced": ("norm", "angle"),
        "balanced_rank_one": ("norm",),
        "unit_vectors": ("angle",),
    }
)
"""All starts by name, and what each takes beside dim, depth, width and seeds."""


def start_by_name(name: str, dim: int, depth: int, width: Any = 1, seeds: Any = 0, **options: float) -> Layers:
    """The start of this name in `OPTIONS`; those from a predictor take its ``norm`` and its ``angle`` to the first axis, the teacher.

    name: "gaussian", "orthogonal", "xavier", "he", "pytorch_default", "identity", "balanced", "balanced_rank_one" or "unit_vectors".
    dim, depth, width, seeds: as in `gaussian`; identity is the same for every seed.
    options: scale, norm (default 1) and angle (default 1.5), of the starts that have them; ValueError where one does not belong.

    >>> import flowsim as fs
    >>> network = fs.layers.start_by_name("balanced", dim=2, depth=2, width=3, seeds=[0, 1], norm=2.0, angle=0.0)
    >>> network.end_to_end.round(12).tolist()
    [[2.0, 0.0], [2.0, 0.0]]
    """
    own = OPTIONS[arguments.one_of("start", name, OPTIONS)]
    for option in options:
        if option not in own:
            raise ValueError(f"`{option}` does not belong to the start {name!r}, which takes {', '.join(own) or 'none'}")
    if name == "identity":
        shape = np.shape(arguments.whole("seeds", seeds, low=0))
        return Layers([np.broadcast_to(matrix, (*shape, *matrix.shape)) for matrix in identity(dim, depth, width, **options).matrices])
    if name in STARTS:
        return STARTS[name](dim, depth, width, seeds=seeds, **options)
    begin = Start(options.get("norm", 1.0), options.get("angle", 1.5))
    w = np.zeros(_number("dim", dim, 2, None))
    # the double nearest to pi is the ray
    w[:2] = begin.norm * np.cos(begin.angle), 0.0 if begin.log_tan_half_angle == np.inf else begin.norm * np.sin(begin.angle)
    make: Callable[..., Layers] = balanced if name == "balanced" else unit_vectors
    return make(w, depth, width, seeds)


def _asked(dim: Any, depth: Any, width: Any, seeds: Any) -> tuple[list[tuple[int, int]], np.ndarray]:
    """The shapes of W_1, ..., W_N, and the seeds."""
    n = _number("depth", depth, 1, DEEPEST)
    widths = arguments.whole("width", width, low=1) if np.size(width) else np.zeros(0, dtype=int)
    if widths.ndim == 0:
        widths = np.full(n - 1, widths)
    elif widths.shape != (n - 1,):
        raise ValueError(f"`width` must be one number, or {n - 1} of them, one a hidden layer, but has shape {widths.shape}")
    sizes = [_number("dim", dim, 2, None), *(int(width) for width in widths), 1]
    return list(zip(sizes[1:], sizes[:-1], strict=True)), arguments.whole("seeds", seeds, low=0)


def _number(name: str, value: Any, low: int, high: int | None) -> int:
    number = arguments.whole(name, value, low=low, high=high)
    if number.ndim:
        raise ValueError(f"`{name}` must be one whole number, but has shape {number.shape}")
    return int(number)


def _predictor(w: Any) -> tuple[Float[np.ndarray, "... d"], Float[np.ndarray, "..."]]:
    """w, and |w| without overflow."""
    predictor = arguments.reals("w", w)
    if predictor.ndim == 0 or predictor.shape[-1] < 2:
        raise ValueError(f"`w` must have shape (..., d) with d at least 2, but has shape {predictor.shape}")
    largest = np.abs(predictor).max(axis=-1)
    if not (largest > 0.0).all():
        raise ValueError("`w` must be nonzero, for its direction is a layer's, but is 0")
    return predictor, np.asarray(largest * np.linalg.norm(predictor / largest[..., None], axis=-1))


def _drawn(dim: Any, depth: Any, width: Any, seeds: Any, draw: Callable[[np.random.Generator, tuple[int, int]], Array]) -> Layers:
    """Each layer of each network by ``draw``, from a generator of its own."""
    shapes, seed_array = _asked(dim, depth, width, seeds)
    return Layers([_by_seed(seed_array, j, lambda rng, shape=shape: draw(rng, shape)) for j, shape in enumerate(shapes, start=1)])


def _by_seed(seeds: np.ndarray, place: int, draw: Callable[[np.random.Generator], Array]) -> Array:
    drawn = np.stack([draw(np.random.default_rng([int(seed), place])) for seed in seeds.ravel()])
    return drawn.reshape(*seeds.shape, *drawn.shape[1:])


def _units(seeds: np.ndarray, place: int, width: int) -> Float[np.ndarray, "... width"]:
    """Uniform on the sphere; 1 at width 1, where the sign is a matter of writing."""
    if width == 1:
        return np.ones((*seeds.shape, 1))
    normal = _by_seed(seeds, place, lambda rng: rng.normal(size=width))
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def _rank_one(row: Array, size: Array, shapes: Sequence[tuple[int, int]], seeds: np.ndarray) -> Layers:
    """W_1 = u_2 row^T, W_j = size u_(j+1) u_j^T. row: (..., d).  size: (...)."""
    try:
        batch = np.broadcast_shapes(row.shape[:-1], seeds.shape)
    except ValueError:
        raise ValueError(f"`seeds` must broadcast with the leading shape of `w`, {row.shape[:-1]}, but has shape {seeds.shape}") from None
    units = [_units(seeds, j, rows) for j, (rows, _) in enumerate(shapes, start=1)]
    sides = [row, *(np.asarray(size)[..., None] * unit for unit in units[:-1])]
    outer = (left[..., :, None] * right[..., None, :] for left, right in zip(units, sides, strict=True))
    return Layers([np.array(np.broadcast_to(matrix, (*batch, *matrix.shape[-2:]))) for matrix in outer])
