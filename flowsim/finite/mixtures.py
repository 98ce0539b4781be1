"""Data with a known law: mixtures of two classes around mu and -mu, and samples of a symmetric law with a margin cut out."""

from math import ceil, sqrt
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, stdtr

from flowsim import arguments
from flowsim.finite.training_set import TrainingSet
from flowsim.layers.network import unit_teacher
from flowsim.problem import Law
from flowsim.problem.risk import check_label_noise
from flowsim.samples import DataSet
from flowsim.samples.dataset import noisy_labels

NOISES = ("gaussian", "student", "polynomial")
"""Laws of z in x = y mu + z, all with mean 0 and covariance I."""

RAREST = 1e-5
"""The least share of a law's samples beyond a margin that is still waited for."""

PATIENCE = 1 << 20
"""Samples after which the share is judged: ten are expected at the rarest."""

BATCH = 1 << 22
"""Numbers drawn at once, of the samples that a margin is cut out of: 32 MiB."""


def mixture(
    n: int,
    dim: int,
    signal: float,
    noise: str = "gaussian",
    df: float | None = None,
    label_noise: float = 0.0,
    seed: int = 0,
    test: int = 0,
) -> TrainingSet:
    """x = y mu + z with mu = signal e_1, y = 1 or -1 with probability 1/2 each, and z with E z = 0 and E z z^T = I, whatever its law.

    noise: "gaussian": z ~ N(0, I).
        "student": z = sqrt((df - 2)/chi^2_df) g with g ~ N(0, I): spherical, one chi^2_df for all coordinates.
        "polynomial": coordinates independent, of density df/(2 s) (1 + |u|/s)^-(df+1), hence P(|z_1| > u) = (1 + u/s)^-df ~ s^df u^-df,
        with s = sqrt((df - 1)(df - 2)/2), for which the variance 2 s^2/((df - 1)(df - 2)) is 1.
    n, dim: whole, 1 or more.  signal: |mu|, zero or positive.  df: above 2, of "student" and "polynomial", and of no other.
    label_noise: in [0, 1/2), the probability with which a label to learn from is flipped, after x was made from it; none to test on is.
    seed: whole, zero or more; the same seed gives the same samples, and those to learn from do not depend on ``test``.
    test: whole, how many samples to test on.

    Returns a `TrainingSet` with mu for its signal. ValueError where one is not what it must be.

    >>> from flowsim.finite.mixtures import mixture
    >>> data = mixture(1000, dim=3, signal=2.0, noise="student", df=5.0, label_noise=0.1, seed=1, test=10)
    >>> data.points.mean(axis=0).round(1).tolist(), data.signal.tolist(), data.test_x.shape
    ([1.6, 0.0, 0.0], [2.0, 0.0, 0.0], (10, 3))
    """
    size, d, more = (int(arguments.whole(*pair, low=low)) for pair, low in ((("n", n), 1), (("dim", dim), 1), (("test", test), 0)))
    origin = int(arguments.whole("seed", seed, low=0))
    kind, tail = _noise_law(noise, df)
    flipped = check_label_noise(label_noise)
    mu = np.zeros(d)
    mu[0] = arguments.real("signal", signal, low=0.0)
    learn, check = (np.random.default_rng(part) for part in np.random.SeedSequence(origin).spawn(2))
    x, y = _classes(learn, size, mu, kind, tail)
    y = np.where(learn.random(size) < flipped, -y, y)
    tested = _classes(check, more, mu, kind, tail) if more else (None, None)
    words = [f"signal={mu[0]:g}", *([] if df is None else [f"df={tail:g}"]), *([f"label_noise={flipped:g}"] if flipped else [])]
    return TrainingSet(x, y, f"{kind} mixture({', '.join(words)})", *tested, signal=mu, label_noise=flipped)


def linear_test_error(w: Any, signal: float, noise: str = "gaussian", df: float | None = None) -> Float[np.ndarray, "..."]:
    """P(y <w, x> < 0) on the mixture = P(<w, z>/|w| < -s), s = signal w_1/|w|: Phi(-s), or F_df(-s sqrt(df/(df - 2))) with Student's F.

    The law of <w, z>/|w| is that of z_1, because z is spherical; polynomial tails are not, and have to be tested on samples.

    w: (..., d), not 0.  signal: |mu|, zero or positive.  noise: "gaussian" or "student".  df: above 2, of "student", and of no other.
    Returns (...). ValueError where one is not what it must be.

    >>> from flowsim.finite.mixtures import linear_test_error
    >>> linear_test_error([[3.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], signal=2.0).round(6).tolist()
    [0.02275, 0.5, 0.97725]
    >>> bool(linear_test_error([1.0, 1.0], signal=4.0, noise="student", df=3.0) > linear_test_error([1.0, 1.0], signal=4.0))
    True
    """
    vectors = arguments.reals("w", w)
    if vectors.ndim == 0:
        raise ValueError(f"`w` must have shape (..., dim), but is the number {w!r}")
    kind, tail = _noise_law(noise, df)
    if kind == "polynomial":
        raise ValueError("`noise` must be gaussian or student for a closed form; test on samples of mixture(..., test=100000) instead")
    largest = np.abs(vectors).max(axis=-1, keepdims=True)
    if not (largest > 0.0).all():
        raise ValueError("`w` must be nonzero, but is 0")
    # |w|^2 of the scaled vectors neither overflows nor underflows
    scaled = vectors / largest
    along = arguments.real("signal", signal, low=0.0) * scaled[..., 0] / np.linalg.norm(scaled, axis=-1)
    return np.asarray(ndtr(-along) if kind == "gaussian" else stdtr(tail, -along * sqrt(tail / (tail - 2.0))))


def with_margin(law: Any, n: int, margin: float, seed: int = 0, v: Any = None, label_noise: float = 0.0) -> DataSet:
    """n samples of ``law`` given |<v, x>| >= margin, with labels sign(<v, x>): what is nearer to the boundary is drawn again.

    law: a `Law`, such as Gaussian(dim=2).  n: whole, 1 or more.  margin: zero or positive; with 0 they are those of `draw`.
    seed: whole, zero or more; the same seed gives the same samples.  v: (d,), the teacher; default the first axis.
    label_noise: in [0, 1/2), the probability of a flip.

    Returns a `DataSet` without a law, for what is left of it is not symmetric. ValueError where one is not what it must be, and where
    fewer than one of 100000 samples of the law lie beyond the margin.

    >>> import flowsim as fs
    >>> from flowsim.finite.mixtures import with_margin
    >>> data = with_margin(fs.Sphere(dim=2), n=100, margin=0.3, seed=0)
    >>> data.size, data.margin >= 0.3
    (100, True)
    """
    if not isinstance(law, Law):
        raise ValueError(f"`law` must be a law such as flowsim.Gaussian(dim=2), but is {law!r}")
    size, origin = int(arguments.whole("n", n, low=1)), int(arguments.whole("seed", seed, low=0))
    least, flipped = arguments.real("margin", margin, low=0.0), check_label_noise(label_noise)
    teacher, generator = unit_teacher(v, law.dim), np.random.default_rng(origin)
    kept: list[np.ndarray] = []
    drawn, found = 0, 0
    while found < size:
        if drawn >= PATIENCE and found < RAREST * drawn:
            raise ValueError(f"`margin` must leave more of {law.label()}: beyond {least:g} lie {found} of {drawn} samples")
        wanted = size if drawn == 0 else ceil(1.1 * (size - found) * drawn / max(found, 1))
        x = law.sample(generator, min(max(wanted, 1024 if drawn else 1), max(BATCH // law.dim, 1)))
        good = x[np.abs(x @ teacher) >= least]
        drawn, found = drawn + len(x), found + len(good)
        kept.append(good)
    x = np.concatenate(kept)[:size]
    return DataSet(x, teacher, noisy_labels(x, teacher, flipped, generator), None, flipped, origin)


def _noise_law(noise: Any, df: Any) -> tuple[str, float]:
    """The kind, and its degrees of freedom; inf where it has none."""
    kind = arguments.one_of("noise", noise, NOISES)
    if kind == "gaussian":
        if df is not None:
            raise ValueError(f"`df` must be left out where `noise` is gaussian, but is {df!r}")
        return kind, np.inf
    if df is None:
        raise ValueError(f"`df` must be given where `noise` is {kind}, above 2 for a finite variance, but is None")
    return kind, arguments.real("df", df, low=2.0, strict=True)


def _classes(generator: np.random.Generator, n: int, mu: np.ndarray, kind: str, df: float) -> tuple[np.ndarray, np.ndarray]:
    """x, (n, d), and clean labels, (n,)."""
    y = np.where(generator.random(n) < 0.5, -1.0, 1.0)
    shape = (n, mu.size)
    if kind == "polynomial":
        # Lomax: (1 + u)^-df beyond u
        size = sqrt(0.5 * (df - 1.0) * (df - 2.0)) * generator.pareto(df, shape)
        z = np.where(generator.random(shape) < 0.5, -size, size)
    else:
        z = generator.standard_normal(shape)
        if kind == "student":
            z *= np.sqrt((df - 2.0) / generator.chisquare(df, (n, 1)))
    return y[:, None] * mu + z, y
