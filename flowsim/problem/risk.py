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
    """

    law: Law
    label_noise: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.law, Law):
            raise ValueError(f"`law` must be a law such as flowsim.Gaussian(dim=2), but is {self.law!r}")
        noise = arguments.real("label_noise", self.label_noise, low=0.0)
        if noise >= 0.5:
            raise ValueError(f"`label_noise` must be in [0, 0.5), but is {noise:.6g}")
        object.__setattr__(self, "label_noise", noise)

    @property
    def profile(self) -> Profile:
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
        """h(r) = E[|x_1| / (1 + exp(r|x_1|))], r >= 0; same shape as r, relative error below 1e-13."""
        return self.profile.growth(arguments.reals("r", r, low=0.0))

    def drag(self, r: Any) -> Array:
        """c - h(r), r >= 0; same shape as r, relative error below 1e-13 (also at r -> 0)."""
        radius = arguments.reals("r", r, low=0.0)
        return np.asarray(radius * self.profile.drag_ratio(radius))

    def drag_ratio(self, r: Any) -> Array:
        """D(r) = (c - h(r))/r, the curvature of L across w; same shape as r."""
        return self.profile.drag_ratio(arguments.reals("r", r, low=0.0))

    def aligned(self, r: Any) -> Array:
        """A(r) = E log(1 + exp(-r|x_1|)), the risk at theta = 0; same shape as r."""
        return self.profile.aligned(arguments.reals("r", r, low=0.0))

    def curvature(self, r: Any) -> Array:
        """-h'(r) >= 0, the curvature of L along w; same shape as r."""
        return self.profile.curvature(arguments.reals("r", r, low=0.0))

    def value(self, norm: Any, angle: Any) -> Array:
        """L = A(r) + c r (1 - (1 - 2 eps) cos theta) at norm r >= 0 and angle theta in [0, pi]; shapes broadcast."""
        theta = arguments.reals("angle", angle, low=0.0, high=float(np.pi))
        return self.value_at(arguments.reals("norm", norm, low=0.0), np.asarray(2.0 * np.sin(theta / 2.0) ** 2))

    def value_at(self, norm: Array, one_minus_cos: Array) -> Array:
        """L from r and 1 - cos theta, for callers that hold the latter without cancellation."""
        misaligned = one_minus_cos + 2.0 * self.label_noise * (1.0 - one_minus_cos)
        return np.asarray(self.profile.aligned(norm) + self.pull * norm * misaligned)

    def error_rate(self, angle: Any) -> Array:
        """P(sign(<w, x>) != y) = theta/pi, with label noise eps + (1 - 2 eps) theta/pi."""
        theta = arguments.reals("angle", angle, low=0.0, high=float(np.pi))
        return np.asarray(self.label_noise + (1.0 - 2.0 * self.label_noise) * theta / np.pi)

    def gradient(self, w: Any, v: Any) -> Array:
        """grad L(w) = (c - h(r)) w/r - c (1 - 2 eps) v. w: (..., d); v: (d,), only its direction counts; result: (..., d)."""
        w, v = self._vectors(w, v)
        return self.profile.drag_ratio(_length(w)[..., None]) * w - self.signal * v

    def hessian(self, w: Any, v: Any) -> Array:
        """-h'(r) u u^T + ((c - h(r))/r) (I - u u^T), u = w/r. w: (..., d); result: (..., d, d). v does not matter, by the formula."""
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
        """What `risk_from_config` needs to build this risk again."""
        return {**self.law.config(), "label_noise": self.label_noise}

    def label(self) -> str:
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
