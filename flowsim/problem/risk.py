"""The population risk of a predictor w: L(w) = E log(1 + exp(-y <w, x>)), y = sign(<v, x>), in closed form."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.optimize import root_scalar

from flowsim import arguments
from flowsim.problem.law import Law, Tail
from flowsim.problem.laws import law_from_config
from flowsim.problem.profile import Profile

Array = Float[np.ndarray, "..."]


@dataclass(frozen=True)
class PopulationRisk:
    r"""L(w) = A(r) + c r (1 - (1 - 2 eps) cos theta), r = |w|, theta the angle between w and v.

    law: the law of x.
    label_noise: eps in [0, 1/2), the probability with which each label is flipped.

    Raises ValueError where either is not what it must be. Source: Lin, Sun, Zhang 2021, Propositions 1-3 (eps = 0); derivations/risk.py.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2), label_noise=0.1)
    >>> print(f"c {risk.pull:.6f}, c (1 - 2 eps) {risk.signal:.6f}, K {risk.tail.constant:.6f}, r* {risk.minimiser_norm:.6f}")
    c 0.398942, c (1 - 2 eps) 0.319154, K 0.656234, r* 2.304624
    >>> risk.smoothness, risk.profile.pull == risk.pull
    (0.25, True)
    >>> bool(abs(risk.gradient([risk.minimiser_norm, 0.0], v=[1.0, 0.0])).max() < 1e-12)
    True
    """

    law: Law
    label_noise: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.law, Law):
            raise ValueError(f"`law` must be a law such as flowsim.Gaussian(dim=2), but is {self.law!r}")
        object.__setattr__(self, "label_noise", check_label_noise(self.label_noise))

    @property
    def profile(self) -> Profile:
        """h, A and D of the law as tables: the law's `Profile`."""
        return self.law.profile

    @property
    def pull(self) -> float:
        """c = E|x_1|/2 = c0/pi."""
        return self.profile.pull

    @property
    def signal(self) -> float:
        """c (1 - 2 eps): the coefficient of -v in the gradient."""
        return self.pull * (1.0 - 2.0 * self.label_noise)

    @property
    def tail(self) -> Tail:
        """How h falls off at large r: K, its exponent and the next term."""
        return self.law.tail

    def growth(self, r: Any) -> Array:
        """h(r) = E[|x_1| / (1 + exp(r|x_1|))]; relative error below 1e-13. It is c at 0, and falls off as `tail` says.

        r: zero or positive, any shape, which is the result's. ValueError where it is not.

        >>> import flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> [f"{h:.6e}" for h in risk.growth([0.0, 1.0, 1e12])]
        ['3.989423e-01', '1.923213e-01', '6.562337e-25']
        """
        return self.profile.growth(arguments.reals("r", r, low=0.0))

    def drag(self, r: Any) -> Array:
        """c - h(r); relative error below 1e-13, also at r -> 0.

        r: as in `growth`.

        >>> import flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> f"{float(risk.drag(1e-100)):.6e}"
        '2.500000e-101'
        """
        radius = arguments.reals("r", r, low=0.0)
        return np.asarray(radius * self.profile.drag_ratio(radius))

    def drag_ratio(self, r: Any) -> Array:
        """D(r) = (c - h(r))/r, the curvature of L across w; E[x_1^2]/4 at r = 0.

        r: as in `growth`.

        >>> import flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> round(float(risk.drag_ratio(0.0)), 12)
        0.25
        """
        return self.profile.drag_ratio(arguments.reals("r", r, low=0.0))

    def aligned(self, r: Any) -> Array:
        """A(r) = E log(1 + exp(-r|x_1|)), the risk at theta = 0; log 2 at r = 0.

        r: as in `growth`.

        >>> import flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> [f"{a:.6e}" for a in risk.aligned([0.0, 1.0, 1e12])]
        ['6.931472e-01', '4.071169e-01', '6.562337e-13']
        """
        return self.profile.aligned(arguments.reals("r", r, low=0.0))

    def curvature(self, r: Any) -> Array:
        """-h'(r) >= 0, the curvature of L along w.

        r: as in `growth`.

        >>> import flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> f"{float(risk.curvature(1e12)):.6e}"
        '1.312467e-36'
        """
        return self.profile.curvature(arguments.reals("r", r, low=0.0))

    def value(self, norm: Any, angle: Any) -> Array:
        """L = A(r) + c r (1 - (1 - 2 eps) cos theta).

        norm: r, zero or positive.  angle: theta in radians, in [0, pi]. Shapes broadcast; ValueError where one is out of range.

        >>> import flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> risk.value(1.0, [0.0, 1.5]).round(6).tolist()
        [0.407117, 0.777839]
        """
        theta = arguments.reals("angle", angle, low=0.0, high=float(np.pi))
        return self.value_at(arguments.reals("norm", norm, low=0.0), np.asarray(2.0 * np.sin(theta / 2.0) ** 2))

    def value_at(self, norm: Array, one_minus_cos: Array) -> Array:
        """L from r and 1 - cos theta, for callers that hold the latter without cancellation.

        norm: r.  one_minus_cos: 1 - cos theta. Shapes broadcast; not checked.

        >>> import numpy as np, flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> float(risk.value_at(np.array(1e9), np.array(1e-18))) > float(risk.aligned(1e9))
        True
        """
        misaligned = one_minus_cos + 2.0 * self.label_noise * (1.0 - one_minus_cos)
        return np.asarray(self.profile.aligned(norm) + self.pull * norm * misaligned)

    def error_rate(self, angle: Any) -> Array:
        """P(sign(<w, x>) != y) = theta/pi, with label noise eps + (1 - 2 eps) theta/pi.

        angle: theta in radians, in [0, pi], any shape, which is the result's; ValueError where it is not.

        >>> import numpy as np, flowsim as fs
        >>> fs.PopulationRisk(fs.Gaussian(dim=2), label_noise=0.1).error_rate([0.0, np.pi / 2]).tolist()
        [0.1, 0.5]
        """
        theta = arguments.reals("angle", angle, low=0.0, high=float(np.pi))
        return np.asarray(self.label_noise + (1.0 - 2.0 * self.label_noise) * theta / np.pi)

    def gradient(self, w: Any, v: Any) -> Array:
        """grad L(w) = (c - h(r)) w/r - c (1 - 2 eps) v.

        w: (..., d).  v: (d,), not 0; only its direction counts. Result: (..., d). ValueError on other shapes.

        >>> import flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> risk.gradient(w=[0.0, 1.0], v=[1.0, 0.0]).round(6).tolist()
        [-0.398942, 0.206621]
        """
        w, v = self._vectors(w, v)
        return self.profile.drag_ratio(_length(w)[..., None]) * w - self.signal * v

    def hessian(self, w: Any, v: Any) -> Array:
        """-h'(r) u u^T + ((c - h(r))/r) (I - u u^T), u = w/r.

        w: (..., d).  v: (d,), as in `gradient`, though by the formula it does not matter. Result: (..., d, d).

        >>> import flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> risk.hessian(w=[0.0, 1.0], v=[1.0, 0.0]).round(6).tolist()
        [[0.206621, 0.0], [0.0, 0.144224]]
        """
        w, v = self._vectors(w, v)
        r = _length(w)
        along = np.where(r > 0, self.profile.curvature(r), self.profile.drag_ratio(r))[..., None, None]
        across = self.profile.drag_ratio(r)[..., None, None]
        u = w / np.where(r > 0, r, 1.0)[..., None]
        outer = u[..., :, None] * u[..., None, :]
        return along * outer + across * (np.eye(self.law.dim) - outer)

    @property
    def smoothness(self) -> float:
        """lambda_max(Cov x)/4 = E[x_1^2]/4, a bound on the Hessian; inf where the second moment diverges."""
        return self.law.second_moment / 4.0

    @cached_property
    def minimiser_norm(self) -> float:
        """r* with h(r*) = 2 eps c, the norm of the minimiser of L; inf without label noise."""
        level = 2.0 * self.label_noise * self.pull
        if level == 0.0:
            return float(np.inf)
        excess = lambda u: float(self.profile.growth(np.asarray(np.exp(u)))) / level - 1.0  # noqa: E731
        return float(np.exp(root_scalar(excess, bracket=(-680.0, 680.0), method="brentq", xtol=1e-15).root))

    def _vectors(self, w: Any, v: Any) -> tuple[Array, Array]:
        w, v = arguments.reals("w", w), arguments.reals("v", v)
        if w.ndim == 0 or w.shape[-1] != self.law.dim:
            raise ValueError(f"`w` must have shape (..., {self.law.dim}), but has shape {w.shape}")
        if v.shape != (self.law.dim,) or not np.linalg.norm(v) > 0:
            raise ValueError(f"`v` must be a nonzero vector of shape ({self.law.dim},), but is {v!r}")
        return w, v / np.linalg.norm(v)

    def config(self) -> dict[str, Any]:
        """What makes this risk again, JSON: its law's ``config``, and the label noise.

        >>> import flowsim as fs
        >>> fs.PopulationRisk(fs.Gaussian(dim=2), label_noise=0.1).config()
        {'law': 'gaussian', 'dim': 2, 'scale': 1.0, 'label_noise': 0.1}
        """
        return {**self.law.config(), "label_noise": self.label_noise}

    def label(self) -> str:
        """A short name with parameters, for legends and tables.

        >>> import flowsim as fs
        >>> fs.PopulationRisk(fs.Gaussian(dim=2), label_noise=0.1).label()
        'Gaussian(dim=2, scale=1), label_noise=0.1'
        """
        noise = f", label_noise={self.label_noise:g}" if self.label_noise else ""
        return self.law.label() + noise


def _length(w: Array) -> Array:
    """|w| over the last axis; no square leaves the double range."""
    largest = np.abs(w).max(axis=-1, keepdims=True)
    scale = np.where(largest > 0.0, largest, 1.0)
    return np.asarray(np.linalg.norm(w / scale, axis=-1) * scale[..., 0])


def risk_from_config(config: dict[str, Any]) -> PopulationRisk:
    """The risk that ``config()`` described."""
    given = dict(config)
    noise = given.pop("label_noise", 0.0)
    return PopulationRisk(law_from_config(given), noise)


def check_label_noise(label_noise: Any) -> float:
    """eps, the probability of a flip, in [0, 1/2)."""
    noise = arguments.real("label_noise", label_noise, low=0.0)
    if noise >= 0.5:
        raise ValueError(f"`label_noise` must be in [0, 0.5), but is {noise:.6g}")
    return noise
