r"""What a margin changes of the population's laws: all that it is felt by is kappa r, the margin times the norm.

Take |<v, x>| >= kappa out of a symmetric law with the density f0 of |x_1| at 0. Once aligned, and for small kappa,

    h(r) = (f0/r^2) G(kappa r),   L(r) = (f0/r) B(kappa r),   B(z) = int_z^oo log(1 + e^-u) du,   G(z) = z log(1 + e^-z) + B(z),

with G(0) = B(0) = pi^2/12: the population's K/r^2 and K/r. So with rho = kappa r and tau = f0 kappa^(1+2/N) t the norm at depth N
follows one curve for all margins,

    tau = int_0^rho u^(2/N)/(N G(u)) du,

which is the population's power rho = ((N+2) (pi^2/12) tau)^(N/(N+2)) for small tau and rho ~ log tau for large tau.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.integrate import quad
from scipy.optimize import root_scalar
from scipy.special import spence

from flowsim import arguments
from flowsim.theory.states import single_depth

Array = Float[np.ndarray, "..."]

WHOLE = np.pi**2 / 12.0
"""G(0) and B(0)."""
FAR = 5.0
"""Beyond which B(z) is summed, e^-z - e^-2z/4 + e^-3z/9 - ..., for the dilogarithm of 1 + e^-z has lost digits."""
TERMS = 9
FARTHEST = 600.0
"""kappa r beyond which its exponential would leave the double range."""


@dataclass(frozen=True)
class MarginFelt:
    """Where the risk with a margin is half of that without, at the same time. time: f0 kappa^(1+2/N) t.  norm: kappa r."""

    time: float
    norm: float


def scaled_growth(z: Any) -> Array:
    """e^z G(z), z >= 0.

    >>> from flowsim.theory.margin_law import scaled_growth
    >>> float(scaled_growth(0.0) * 12.0 / 3.141592653589793**2).__round__(12), float(scaled_growth(1e3).round(9))
    (1.0, 1001.0)
    """
    z = np.asarray(z, dtype=np.float64)
    fall = np.exp(-np.minimum(z, FARTHEST))
    return np.asarray(z * np.log1p(fall) / fall + scaled_risk(z))


def scaled_risk(z: Any) -> Array:
    """e^z B(z), z >= 0.

    >>> from flowsim.theory.margin_law import scaled_risk
    >>> scaled_risk([1.0, 40.0]).round(6).tolist()
    [0.920541, 1.0]
    """
    z = np.asarray(z, dtype=np.float64)
    near, fall = np.exp(-np.minimum(z, FAR)), np.exp(-np.minimum(z, FARTHEST))
    summed = sum((-fall) ** k / (k + 1) ** 2 for k in range(TERMS))
    return np.asarray(np.where(z < FAR, -spence(1.0 + near) / near, summed))


def scaled_log_time(norm: Any, depth: Any) -> Array:
    """log tau at rho = kappa r.

    norm: rho, (T,), positive, below 600.  depth: N.

    >>> from flowsim.theory.margin_law import scaled_log_time
    >>> scaled_log_time([1e-3, 100.0], depth=1).round(4).tolist()
    [-21.6264, 104.5851]
    """
    layers = single_depth(depth)
    rho = np.atleast_1d(arguments.reals("norm", norm, low=1e-12, high=FARTHEST))
    order = np.argsort(rho)
    out, total, before = np.empty(rho.size), 0.0, 0.0
    for i in order:
        # the integrand is smooth, and grows like e^u
        total += quad(_slowness, before, float(rho[i]), (layers,), epsrel=1e-10, limit=400)[0]
        out[i], before = np.log(total), rho[i]
    return out


def _slowness(u: float, layers: int) -> float:
    """dtau/drho."""
    return float(u ** (2.0 / layers) * np.exp(u) / (layers * scaled_growth(u)))


@lru_cache(maxsize=32)
def margin_felt(depth: int) -> MarginFelt:
    """tau and rho at which B(rho)/rho is half of (pi^2/12)/rho_0, rho_0 the population's norm at the same tau.

    depth: N.

    >>> from flowsim.theory.margin_law import margin_felt
    >>> found = margin_felt(1)
    >>> print(f"{found.time:.4f} {found.norm:.4f}")
    0.2536 0.8263
    """
    layers = single_depth(depth)

    def excess(rho: float) -> float:
        log_time = float(scaled_log_time(rho, layers)[0])
        free = layers / (layers + 2.0) * (np.log((layers + 2.0) * WHOLE) + log_time)
        return float(np.log(scaled_risk(rho)) - rho - np.log(rho) - np.log(WHOLE) + free + np.log(2.0))

    rho = float(root_scalar(excess, bracket=(1e-2, 20.0), method="brentq", xtol=1e-13).root)
    return MarginFelt(float(np.exp(scaled_log_time(rho, layers)[0])), rho)
