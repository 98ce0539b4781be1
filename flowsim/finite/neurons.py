"""Descent of a two-layer leaky ReLU network whose outer layer is fixed, in Gram coordinates: what a step costs does not know d.

f(x) = sum_j a_j phi(<w_j, x>), phi(z) = max(z, gamma z), a_j = 1/sqrt(m) for half of the neurons and -1/sqrt(m) for the others, trained on

    L = 1/n sum_i exp(-q_i),  q_i = y_i f(x_i):   w_j <- w_j + eta/n sum_i exp(-q_i) y_i a_j phi'(<w_j, x_i>) x_i.

So w_j = w_j(0) + sum_i c_ji x_i at all times, and a step needs no more of the data than K = X X^T and X w_j(0). Once <w_j, x_i> has the
sign of a_j y_i for all i and j, phi' no longer changes and the network is a linear model: it turns to a max-margin solution
(Hashimoto 2025, arXiv 2505.16204).
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from flowsim import arguments
from flowsim.finite.training_set import TrainingSet, training_set_of

Array = Float[np.ndarray, "..."]


@dataclass(frozen=True, eq=False)
class NeuronDescent:
    """A descent of m neurons on n points of dimension d, at T steps. Made by `neuron_descent`.

    step: (T,).  weights: w_j, (T, m, d).  signs: a_j, (m,).  slope: gamma.  data: what it learned from.
    log_loss: log L, (T,).  log_losses: -q_i, the logarithm of each sample's own, (T, n).
    activated: the step from which on <w_j, x_i> > 0 wherever a_j y_i > 0, to the last one; -1 if not even there.
    settled: that from which on <w_j, x_i> has the sign of a_j y_i everywhere.

    >>> from flowsim.finite.mixtures import mixture
    >>> from flowsim.finite.neurons import neuron_descent
    >>> run = neuron_descent(mixture(6, dim=200, signal=3.0, seed=1), step_size=0.01, steps=[1, 300], normalised=True)
    >>> run.activated, run.settled, bool(run.log_loss[-1] < -20.0), bool((run.margin[-1] > run.margin[0]))
    (1, 1, True, True)
    >>> run.norm.shape, run.outputs(run.data.x).shape, run.predictor.shape
    ((2,), (6,), (200,))
    """

    step: Int[np.ndarray, "T"]
    weights: Float[np.ndarray, "T m d"]
    signs: Float[np.ndarray, "m"]
    slope: float
    data: TrainingSet
    log_loss: Float[np.ndarray, "T"]
    log_losses: Float[np.ndarray, "T n"]
    activated: int
    settled: int

    @property
    def norm(self) -> Float[np.ndarray, "T"]:
        """|W|, over all weights, (T,)."""
        return np.linalg.norm(self.weights, axis=(1, 2))

    @property
    def margin(self) -> Float[np.ndarray, "T"]:
        """min_i q_i/|W|, (T,): the normalised margin, for f is homogeneous of degree 1 in W."""
        return -self.log_losses.max(axis=1) / self.norm

    @property
    def predictor(self) -> Float[np.ndarray, "d"]:
        """sum_j a_j w_j at the last step: where the network has its limit's form, the sign of f(x) is that of <predictor, x>."""
        return self.signs @ self.weights[-1]

    def outputs(self, x: Any) -> Array:
        """f(x) at the last step, (k,).

        x: (k, d); ValueError where it has another shape.

        >>> from flowsim.finite.mixtures import mixture
        >>> from flowsim.finite.neurons import neuron_descent
        >>> run = neuron_descent(mixture(6, dim=200, signal=3.0, seed=1), step_size=0.01, steps=300, normalised=True)
        >>> bool((run.outputs(run.data.x) * run.data.y > 20.0).all())
        True
        """
        points = arguments.reals("x", x)
        if points.ndim != 2 or points.shape[1] != self.data.dim:
            raise ValueError(f"`x` must have shape (samples, {self.data.dim}), but has shape {points.shape}")
        return np.asarray(self.signs @ leaky(self.weights[-1] @ points.T, self.slope))

    def distance(self, positive: Any, negative: Any) -> Float[np.ndarray, "T"]:
        """1 - cos of the angle in all weights, (T,), to the network whose neurons with a_j > 0 are w_+ and whose others are w_-.

        positive, negative: w_+ and w_-, (d,), not both 0, such as those of `leaky_limit`; their common scale does not matter.

        >>> import numpy as np
        >>> from flowsim.finite.mixtures import mixture
        >>> from flowsim.finite.neurons import neuron_descent
        >>> run = neuron_descent(mixture(6, dim=200, signal=3.0, seed=1), step_size=0.01, steps=300, normalised=True)
        >>> bool(run.distance(run.weights[-1, 0], run.weights[-1, -1])[-1] < 1e-6)
        True
        """
        ends = [arguments.reals(name, value) for name, value in (("positive", positive), ("negative", negative))]
        for name, value in zip(("positive", "negative"), ends, strict=True):
            if value.shape != (self.data.dim,):
                raise ValueError(f"`{name}` must have shape ({self.data.dim},), but has shape {value.shape}")
        limit = np.where((self.signs > 0.0)[:, None], *ends)
        size = float(np.linalg.norm(limit))
        if not size > 0.0:
            raise ValueError("`positive` and `negative` must not both be 0, but are")
        # 1 - cos = |u - v|^2/2 keeps its digits where it is small
        gap = self.weights / self.norm[:, None, None] - limit / size
        return np.asarray(0.5 * (gap**2).sum(axis=(1, 2)))


def neuron_descent(
    data: Any,
    step_size: float,
    steps: Any,
    width: int = 4,
    slope: float = 0.1,
    start_scale: float = 1e-4,
    seed: int = 0,
    normalised: bool = False,
) -> NeuronDescent:
    """Descent from w_j(0) ~ N(0, start_scale^2 I/d): every step is taken, and none of them in weights that could underflow.

    data: a TrainingSet or a DataSet.  step_size: eta, positive.
    steps: how many, or a list of those to record, increasing; whole, zero or more.
    width: m, whole and even: half of the a_j are positive.  slope: gamma in (0, 1].  start_scale: |w_j(0)|, about; positive.
    seed: of the start; whole, zero or more.
    normalised: w <- w - eta grad L/L, a descent on log L: its steps do not shrink with the loss, and it is near its limit direction
        after 1/k^2 in 1 - cos, where constant steps take log k for k.

    ValueError where one is not what it must be.

    >>> from flowsim.finite.mixtures import mixture
    >>> from flowsim.finite.neurons import neuron_descent
    >>> data = mixture(6, dim=200, signal=3.0, seed=1)
    >>> constant = neuron_descent(data, step_size=0.01, steps=300)
    >>> bool(neuron_descent(data, 0.01, 300, normalised=True).log_loss[-1] < constant.log_loss[-1] - 10.0)
    True
    """
    given = training_set_of(data)
    eta = arguments.real("step_size", step_size, low=0.0, strict=True)
    gamma = check_slope(slope)
    records = arguments.increasing("steps", np.atleast_1d(arguments.whole("steps", steps, low=0)))
    if records.ndim != 1:
        raise ValueError(f"`steps` must be a number or a list, but has shape {records.shape}")
    signs = neuron_signs(width)
    start = neuron_start(signs.size, given.dim, arguments.real("start_scale", start_scale, low=0.0, strict=True), seed)
    gram, first = given.x @ given.x.T, start @ given.x.T
    coefficients, activated, settled = descend(
        gram[None], first[None], given.y[None], signs, gamma, np.array([eta]), records, bool(normalised)
    )
    weights = start + coefficients[0] @ given.x
    q = given.y * (signs @ leaky(first + coefficients[0] @ gram, gamma))
    return NeuronDescent(records, weights, signs, gamma, given, log_mean_exp(-q), -q, int(activated[0]), int(settled[0]))


def check_slope(slope: Any) -> float:
    """gamma, in (0, 1]."""
    gamma = arguments.real("slope", slope, low=0.0, high=1.0)
    if gamma == 0.0:
        raise ValueError("`slope` must be above 0, for a neuron that is off on all points would never learn, but is 0")
    return gamma


def neuron_signs(width: Any) -> Float[np.ndarray, "m"]:
    """a_j: 1/sqrt(m) for the first half of the neurons, -1/sqrt(m) for the others."""
    m = int(arguments.whole("width", width, low=2))
    if m % 2:
        raise ValueError(f"`width` must be even, for half of the neurons have a positive a_j, but is {m}")
    return np.repeat([1.0, -1.0], m // 2) / np.sqrt(m)


def neuron_start(width: int, dim: int, scale: float, seed: Any) -> Float[np.ndarray, "m d"]:
    """w_j(0), of another stream than the data that `mixture` draws from the same seed."""
    generator = np.random.default_rng(np.random.SeedSequence(int(arguments.whole("seed", seed, low=0))).spawn(3)[2])
    return scale / np.sqrt(dim) * generator.standard_normal((width, dim))


def leaky(z: Array, slope: float) -> Array:
    """phi(z) = max(z, gamma z), gamma at most 1."""
    return np.maximum(z, slope * z)


def log_mean_exp(values: Array) -> Array:
    """log of the mean of exp, over the last axis."""
    top = values.max(axis=-1)
    return np.asarray(top + np.log(np.exp(values - top[..., None]).mean(axis=-1)))


def derivatives(labels: Array, signs: Array, slope: float) -> Array:
    """phi' where <w_j, x_i> has the sign of a_j y_i: (..., n) -> (..., m, n)."""
    return np.where(labels[..., None, :] * signs[:, None] > 0.0, 1.0, slope)


def margins_gram(gram: Array, labels: Array, signs: Array, slope: float) -> Array:
    """M with q = M lambda, for the network whose c_ji = lambda_i y_i a_j phi'_ji: the Gram matrix of grad_W q_i, (..., n, n)."""
    bent = derivatives(labels, signs, slope)
    outer = np.einsum("j,...ji,...jk->...ik", signs**2, bent, bent)
    return labels[..., :, None] * labels[..., None, :] * gram * outer


def descend(
    gram: Float[np.ndarray, "B n n"],
    first: Float[np.ndarray, "B m n"],
    labels: Float[np.ndarray, "B n"],
    signs: Float[np.ndarray, "m"],
    slope: float,
    step_size: Float[np.ndarray, "B"],
    records: Int[np.ndarray, "T"],
    normalised: bool,
) -> tuple[Float[np.ndarray, "B T m n"], Int[np.ndarray, "B"], Int[np.ndarray, "B"]]:
    """c_ji at the records, and from which step on neurons are active where they should be, and have the sign they should have.

    gram: K.  first: <w_j(0), x_i>.  labels, signs, slope: y_i, a_j and gamma.  step_size: eta of each of the B descents.
    """
    with jax.enable_x64(True):
        fixed = tuple(jnp.asarray(array, dtype=jnp.float64) for array in (gram, first, labels, signs, slope, step_size))
        state: Any = _begin(*fixed)
        out, done = [], 0
        for record in records.tolist():
            state = _advance()(fixed, state, record - done, normalised)
            done = record
            out.append(np.asarray(state[0]))
        bad = [np.asarray(count) for count in state[2]]
    # bad to the last step is never good
    activated, settled = (np.where(count == done, -1, count + 1) for count in bad)
    return np.stack(out, axis=1), activated, settled


def _begin(gram: Any, first: Any, labels: Any, signs: Any, slope: Any, step_size: Any) -> Any:
    """c, <w_j, x_i>, the last steps at which they were wrong, and the steps taken."""
    wrong = _wrong(first, labels, signs)
    return jnp.zeros_like(first), first, tuple(jnp.where(one, 0, -1) for one in wrong), jnp.asarray(0)


def _wrong(inner: Any, labels: Any, signs: Any) -> tuple[Any, Any]:
    """Whether some neuron is off where it should be on; whether one has another sign than it should have. (B,) each."""
    wanted = labels[:, None, :] * signs[:, None] > 0.0
    off = jnp.any(wanted & ~(inner > 0.0), axis=(1, 2))
    return off, off | jnp.any(~wanted & ~(inner < 0.0), axis=(1, 2))


@cache
def _advance() -> Any:
    """The compiled loop: the number of steps is no part of the program."""

    def advance(fixed: Any, state: Any, count: Any, normalised: bool) -> Any:
        gram, first, labels, signs, slope, step_size = fixed

        def step(_: Any, state: Any) -> Any:
            c, inner, last, k = state
            q = labels * jnp.einsum("m,bmn->bn", signs, jnp.maximum(inner, slope * inner))
            # log of the samples' weights: exp(-q_i)/n, or their shares of the loss
            log_weight = -q - (jax.nn.logsumexp(-q, axis=1, keepdims=True) if normalised else jnp.log(q.shape[1]))
            pull = step_size[:, None] * labels * jnp.exp(log_weight)
            c = c + pull[:, None, :] * signs[:, None] * jnp.where(inner > 0.0, 1.0, slope)
            inner = first + c @ gram
            last = tuple(jnp.where(one, k + 1, old) for one, old in zip(_wrong(inner, labels, signs), last, strict=True))
            return c, inner, last, k + 1

        return jax.lax.fori_loop(0, count, step, state)

    return jax.jit(advance, static_argnums=3)
