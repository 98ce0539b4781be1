r"""What an imbalance does to the direction: a term in sqrt(t) for two rank-one layers, a power of t in place of exp for generic layers.

Two layers w = a z with delta = |z|^2 - a^2, which the flow conserves: s' = -c a/|z|, and a/|z| tends to 1 like 1 - delta/(2r).

Layers of full rank: W_1 = p v^T + Q keeps a constant part Q across v, with Q^T u = 0 for the limit u of p/|p|. The vector
a = (W_N..W_2)^T turns slowly, because it is bound to p by B = W_1 W_1^T - W_2^T W_2, and through Q it moves the part q = Q^T a of
w = W_1^T a across v. Formal asymptotics, checked by integrating the matrices, not proved.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from flowsim import arguments
from flowsim.problem import PopulationRisk
from flowsim.theory.imbalance import checked_layers, imbalances
from flowsim.theory.rates import DEEPEST, rates
from flowsim.theory.states import single_depth

Array = Float[np.ndarray, "..."]

RESOLVED = 1e-12
"""The part of |W_1|^2 |Q| below which a contraction of the imbalance is rounding: about 1e4 rounding errors."""


def layer_ratio(imbalance: Any, norm: Any) -> Array:
    """a/|z| = sqrt(1 + delta^2/(4 r^2)) - delta/(2 r): the ratio of two rank-one layers w = a z, delta = |z|^2 - a^2, r = a |z|.

    imbalance: delta, of either sign.  norm: r > 0. They broadcast, and the result has their shape.

    ValueError where one is not what it must be. Source: derivations/unbalanced_layers.py.

    >>> import flowsim as fs
    >>> fs.theory.layer_ratio([-1.5, 0.0, 1.5], norm=1.0).tolist()
    [2.0, 1.0, 0.5]
    """
    delta, r = arguments.reals("imbalance", imbalance), arguments.reals("norm", norm, low=0.0, strict=True)
    try:
        x = delta / (2.0 * r)
    except ValueError:
        raise ValueError(f"`imbalance` and `norm` must broadcast, but have shapes {delta.shape} and {r.shape}") from None
    # the smaller of the ratio and its inverse is free of cancellation as a quotient
    inverse = np.hypot(1.0, x) + np.abs(x)
    return np.asarray(np.where(x > 0.0, 1.0 / inverse, inverse))


def unbalanced_two_layer_direction(risk: Any, imbalance: Any, t: Any, order: Any = 1) -> Array:
    r"""s = -c t + (c delta/(2 sqrt(K))) sqrt(t) - (c delta (delta + 4 gamma)/(32 K)) log t, up to a constant of the start and o(1).

    Two rank-one layers w = a z, delta = |z|^2 - a^2; h = (K/r^2) (1 + gamma/r), gamma = 0 for densities smooth at 0. For a tail
    h = K r^(-1-a) the second term is (c delta/2) ((a+1)/a) (2 (a+1) K)^(-1/(a+1)) t^(a/(a+1)).

    risk: a `PopulationRisk` without label noise, of a law whose growth has a power tail.  imbalance: delta.  t: positive, late times.
    They broadcast.
    order: 1 leaves the logarithm out; 2 has it, for laws with a = 1 and a known next term.

    ValueError where one is not what it must be. Source: derivations/unbalanced_layers.py.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Laplace(dim=2))
    >>> fs.theory.unbalanced_two_layer_direction(risk, imbalance=[-1.0, 0.0, 1.0], t=1e4).round(3).tolist()
    [-5027.566, -5000.0, -4972.434]
    """
    tail, c = rates(risk, 2).tail, risk.pull
    delta, time = arguments.reals("imbalance", imbalance), arguments.reals("t", t, low=0.0, strict=True)
    second = int(arguments.whole("order", order, low=1, high=2)) == 2
    a, k = tail.exponent, tail.constant
    try:
        np.broadcast_shapes(delta.shape, time.shape)
    except ValueError:
        raise ValueError(f"`imbalance` and `t` must broadcast, but have shapes {delta.shape} and {time.shape}") from None
    # delta/(2r) integrated along r = (2 (a+1) K t)^(1/(a+1))
    s = c * (0.5 * delta * (1.0 + 1.0 / a) * (2.0 * (a + 1.0) * k) ** (-1.0 / (a + 1.0)) * time ** (a / (a + 1.0)) - time)
    if second:
        if a != 1.0 or not np.isfinite(tail.next_coefficient):
            raise ValueError("`order` must be 1 for this law, but is 2: the next term of its growth at large norm is not known as a power")
        kink = tail.next_coefficient / k if tail.next_power == 3.0 else 0.0
        s = s - c * delta * (delta + 4.0 * kink) / (32.0 * k) * np.log(time)
    return np.asarray(s)


def generic_direction_exponent(risk: Any, depth: Any) -> float:
    """(N(1+a)+3)/(aN+2): theta ~ t to minus this, from unbalanced layers of full rank; 7/4, 9/5, 11/6, .. -> 2 for a = 1.

    Balanced or rank-one layers, or layers of width 1, have -log theta ~ t^(N(1+a)/(aN+2)) instead: see `rates`.

    risk: a `PopulationRisk` without label noise, of a law whose growth has a power tail.  depth: N, whole, 2 to 100.

    ValueError where one is not what it must be. Source: derivations/generic_direction.py, formal.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> [round(fs.theory.generic_direction_exponent(risk, depth), 6) for depth in (2, 3, 4, 100)]
    [1.75, 1.8, 1.833333, 1.990196]
    """
    layers = single_depth(depth, low=2, high=DEEPEST)
    a = rates(risk, layers).tail.exponent
    return (layers * (1.0 + a) + 3.0) / (a * layers + 2.0)


@dataclass(frozen=True, eq=False)
class GenericDirection:
    r"""q/r = (h(r)/c) r^(-3/N) [ x_2 + x_3 r^(-1/N) + O(r^(-2/N)) ], q the part of w across v: the direction from generic layers.

    risk: the population risk, h and c.  depth: N.
    leading: x_2 = Q^T P B u, (..., d).
    second: x_3 = 2 Q^T P R^T C s, (..., d), with C = W_2 W_2^T - W_3^T W_3, R = W_2 without its largest singular value's part, and s the
        unit vector along (W_N..W_3)^T; nan at N = 2, where the next term is smaller by r^-1.

    u = p/|p|, P = I - u u^T. Made by `generic_direction`. ``order``: 1 or 2 terms of the bracket; ValueError for 2 at N = 2.

    Source: derivations/generic_direction.py, formal.

    >>> import numpy as np, flowsim as fs
    >>> found = fs.theory.GenericDirection(fs.PopulationRisk(fs.Laplace(dim=2)), 3, np.array([0.0, 0.3]), np.array([0.0, 0.1]))
    >>> found.exponent, f"{found.constant:.6f}", [f"{float(found.angle(1e4, order)):.4e}" for order in (1, 2)]
    (1.8, '0.038718', ['4.9337e-13', '5.0101e-13'])
    """

    risk: PopulationRisk
    depth: int
    leading: Array
    second: Array

    @property
    def exponent(self) -> float:
        """(N(1+a)+3)/(aN+2), as `generic_direction_exponent`."""
        return generic_direction_exponent(self.risk, self.depth)

    @property
    def constant(self) -> Array:
        """(K/c) |x_2| ((aN+2) K)^-exponent: theta ~ constant t^-exponent; of the batch's shape."""
        tail = self.risk.tail
        spread = (tail.exponent * self.depth + 2.0) * tail.constant
        return np.asarray(tail.constant / self.risk.pull * np.linalg.norm(self.leading, axis=-1) * spread**-self.exponent)

    def across(self, norm: Any, order: Any = 1) -> Array:
        """The part of w/r across v, (..., d).

        norm: r > 0, which broadcasts against the batch.  order: as the class says.

        >>> import numpy as np, flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Laplace(dim=2))
        >>> found = fs.theory.GenericDirection(risk, 2, np.array([0.0, -0.3]), np.full(2, np.nan))
        >>> bool(found.across(1e4)[1] < 0.0)
        True
        """
        r = arguments.reals("norm", norm, low=0.0, strict=True)[..., None]
        bracket = self.leading
        if int(arguments.whole("order", order, low=1, high=2)) == 2:
            if self.depth == 2:
                raise ValueError("`order` must be 1 at depth 2, but is 2: the term in r^(-1/N) exists from three layers on")
            bracket = bracket + self.second * r ** (-1.0 / self.depth)
        return np.asarray(self.risk.growth(r) / self.risk.pull * r ** (-3.0 / self.depth) * bracket)

    def angle(self, norm: Any, order: Any = 1) -> Array:
        """theta = |q|/r, small.

        norm, order: as in `across`.

        >>> import numpy as np, flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Laplace(dim=2))
        >>> found = fs.theory.GenericDirection(risk, 2, np.array([0.0, -0.3]), np.full(2, np.nan))
        >>> f"{float(found.angle(1e4)):.4e}"
        '4.9337e-15'
        """
        return np.asarray(np.linalg.norm(self.across(norm, order), axis=-1))

    def angle_at(self, t: Any) -> Array:
        """theta ~ constant t^-exponent, leading order.

        t: positive times, which broadcast against the batch.

        >>> import numpy as np, flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Laplace(dim=2))
        >>> found = fs.theory.GenericDirection(risk, 2, np.array([0.0, -0.3]), np.full(2, np.nan))
        >>> f"{float(found.angle_at(1e8)):.4e}"
        '6.1406e-16'
        """
        return np.asarray(self.constant * arguments.reals("t", t, low=0.0, strict=True) ** -self.exponent)


def generic_direction(risk: Any, matrices: Any, v: Any) -> GenericDirection:
    """q/r ~ (h(r)/c) r^(-3/N) Q^T P B u from the layers at one late moment: what the direction of that run follows from then on.

    B and C are conserved, and u, Q, R and s settle, all but a relative r^(-2/N): the later the moment, the better the constant.

    risk: a `PopulationRisk` without label noise, of a law whose growth has a power tail.
    matrices: W_1 (..., m_1, d), .. W_N (..., 1, m_(N-1)), N of 2 or more, as in `imbalances`.  v: the teacher, (d,), not 0.
    Returns `GenericDirection`.

    ValueError where one is not what it must be, and where Q^T P B u vanishes to rounding, as for width 1, rank-one and balanced layers:
    there the direction is exponential, see `rates`; and as for layers that are unbalanced only above the first pair, such as square
    orthogonal ones under the last: there theta is a faster power, t^-(N(2+a)+1)/(aN+2). Source: derivations/generic_direction.py, formal.

    >>> import numpy as np, flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> late = [[[30.0, 0.0], [0.0, 1.0]], [[30.0, 0.05]]]
    >>> fs.theory.generic_direction(risk, late, v=[1.0, 0.0]).leading.tolist()
    [0.0, -1.5]
    """
    layers = checked_layers(matrices)
    depth = single_depth(len(layers), high=DEEPEST)
    rates(risk, depth)
    first, teacher = layers[0], arguments.reals("v", v)
    if first.shape[-1] != risk.law.dim:
        raise ValueError(f"`matrices` must begin with a W_1 of {risk.law.dim} columns, the law's dimension, but has shape {first.shape}")
    if teacher.shape != (risk.law.dim,) or not np.linalg.norm(teacher) > 0.0:
        raise ValueError(f"`v` must be a nonzero vector of shape ({risk.law.dim},), but is {teacher!r}")
    teacher = teacher / np.linalg.norm(teacher)
    p = first @ teacher
    rest = first - p[..., None] * teacher
    length = np.linalg.norm(p, axis=-1, keepdims=True)
    if not (length > 0.0).all():
        raise ValueError("`matrices` must be of a late moment, but W_1 v is 0")
    u = p / length
    found = imbalances(layers)

    def contracted(vector: np.ndarray) -> np.ndarray:
        """Q^T P ``vector``."""
        across = vector - u * (u * vector).sum(axis=-1, keepdims=True)
        return np.einsum("...md,...m->...d", rest, across)

    leading = contracted(np.einsum("...ij,...j->...i", found[0], u))
    size = np.linalg.norm(first, axis=(-2, -1)) ** 2 * np.linalg.norm(rest, axis=(-2, -1))
    if not (np.linalg.norm(leading, axis=-1) > RESOLVED * size).all():
        raise ValueError(
            "`matrices` must be generic, but Q^T P B u is 0: balanced or rank-one layers have an exponential direction, see rates, and "
            "layers that are unbalanced only above the first pair a faster power of t"
        )
    second = np.full_like(leading, np.nan)
    if depth >= 3:
        left, values, right = np.linalg.svd(layers[1], full_matrices=False)
        top = values[..., :1, None] * left[..., :, :1] * right[..., :1, :]
        row = layers[-1]
        for layer in layers[-2:1:-1]:
            row = row @ layer
        above = row[..., 0, :] / np.linalg.norm(row[..., 0, :], axis=-1, keepdims=True)
        second = 2.0 * contracted(np.einsum("...ij,...ik,...k->...j", layers[1] - top, found[1], above))
    return GenericDirection(risk, depth, leading, second)
