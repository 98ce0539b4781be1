r"""Two layers, the depth between: for eta c < 2 descent's direction converges exponentially, for eta c > 2 it is held at sigma = 2.

At the edge the part of w across v changes sign in every step and drives the layers apart, until |a|/|z| = kappa = 2/(eta c) and

    sigma = eta c |a|/|z| = 2

With h ~ K r^(-1-a) the averages over the oscillation around it obey

    h = c theta^2 (1+kappa^2)/(2 (1-kappa^2)),    r' = 4 K eta kappa r^-a/(1+kappa^2)  per step

Formal asymptotics, checked by exact descent, not proved.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from jaxtyping import Float

from flowsim import arguments
from flowsim.problem.law import Tail
from flowsim.theory.rates import DEEPEST, rates
from flowsim.theory.states import population_risk, single_depth
from flowsim.theory.thresholds import critical_step_size, label_noise_stability

Array = Float[np.ndarray, "..."]


def direction_rate(risk: Any, depth: Any, step_size: Any) -> Array:
    """lambda = log|1 - eta c|: s ~ lambda k, the direction's exponential rate per step at N = 2, eta c < 2.

    With label noise eps a run that stays balanced has such a rate at every depth, log|1 - eta c (1 - 2 eps) r*^(1-2/N)|, below the critical
    step size. -inf where the argument is 0: the direction then falls faster than any exponential, but at finite k by finite amounts.

    risk: a `PopulationRisk`.  depth: N, whole; 2 without label noise, where one layer is slower, and three or more reach the edge.
    step_size: eta, positive and below `critical_step_size`; any shape, which is the result's.

    ValueError where one is not what it must be. Source: derivations/edge_of_stability.py.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Laplace(dim=2))
    >>> fs.theory.direction_rate(risk, depth=2, step_size=[0.1, 1.0, 3.0]).round(6).tolist()
    [-0.051293, -0.693147, -0.693147]
    """
    layers, eta = single_depth(depth, high=DEEPEST), arguments.reals("step_size", step_size, low=0.0, strict=True)
    noisy = population_risk(risk).label_noise > 0.0
    if layers != 2 and not noisy:
        raise ValueError(f"`depth` must be 2 without label noise, but is {layers}: only there the direction is exponential in k")
    critical = critical_step_size(risk, layers)
    if not (eta < critical).all():
        raise ValueError(f"`step_size` must be below the critical one, {critical:.6g}, but is {eta.max():.6g}")
    final = label_noise_stability(risk, layers).direction if noisy else risk.pull
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.abs(1.0 - eta * final)))


@dataclass(frozen=True)
class TwoLayerEdge:
    """Two layers at sigma = 2: how the direction's error falls and the norm grows, after many steps. Made by `two_layer_edge`.

    kappa: 2/(eta c), in (0, 1), the ratio of the layers' singular values.  pull: c.  tail: K and a.

    The methods take ``step``: k, positive numbers of any shape, which is the result's. They hold on average over a decade of k or more,
    and as long as sigma - 2 stays small: where bursts grow, only until they are large.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Laplace(dim=2))
    >>> edge = fs.theory.two_layer_edge(risk, step_size=8.0)
    >>> round(edge.kappa, 9), round(edge.burst_exponent, 6)
    (0.5, -0.1875)
    """

    kappa: float
    pull: float
    tail: Tail

    def angle_rms(self, step: Any) -> Array:
        """sqrt((1-kappa^2)/(4 (1+a) k)), for a = 1 sqrt((1-kappa^2)/(8 k)): the root mean square of theta.

        step: k, as the class says; ValueError where it is not positive.

        >>> import flowsim as fs
        >>> edge = fs.theory.two_layer_edge(fs.PopulationRisk(fs.Laplace(dim=2)), step_size=8.0)
        >>> f"{float(edge.angle_rms(10**6)):.6e}"
        '3.061862e-04'
        """
        k = arguments.reals("step", step, low=0.0, strict=True)
        return np.asarray(np.sqrt((1.0 - self.kappa**2) / (4.0 * (1.0 + self.tail.exponent) * k)))

    def norm(self, step: Any) -> Array:
        """(8 (1+a) K k/(c (1+kappa^2)))^(1/(1+a)), for a = 1 sqrt(16 K k/(c (1+kappa^2))): the norm r.

        step: as in `angle_rms`.

        >>> import flowsim as fs
        >>> edge = fs.theory.two_layer_edge(fs.PopulationRisk(fs.Laplace(dim=2)), step_size=8.0)
        >>> round(float(edge.norm(10**6)), 3)
        4588.59
        """
        k, p = arguments.reals("step", step, low=0.0, strict=True), 1.0 + self.tail.exponent
        return np.asarray((8.0 * p * self.tail.constant * k / (self.pull * (1.0 + self.kappa**2))) ** (1.0 / p))

    @property
    def burst_exponent(self) -> float:
        """(3 (m-1)^2 - 4 (m+1) - a (m+1)^2)/(12 (1+a) m), m = (eta c/2)^2, for a = 1 (m^2 - 6 m - 1)/(12 m).

        The oscillation sharpens into bursts, and the largest angle in them goes like k to this power: it is always above that of
        `angle_rms`, -1/2. From eta c = `growing_bursts_step_size` on it is positive, and the direction no longer converges.
        """
        m, a = self.kappa**-2, self.tail.exponent
        return (3.0 * (m - 1.0) ** 2 - 4.0 * (m + 1.0) - a * (m + 1.0) ** 2) / (12.0 * (1.0 + a) * m)


def two_layer_edge(risk: Any, step_size: Any) -> TwoLayerEdge:
    """sigma = 2, kappa = 2/(eta c): the two-layer run at the edge of stability, eta c > 2.

    risk: a `PopulationRisk` without label noise, of a law whose growth has a power tail.  step_size: eta > 2/c. Returns `TwoLayerEdge`.

    ValueError where one is not what it must be. Source: derivations/two_layer_edge.py, formal.

    >>> import flowsim as fs
    >>> edge = fs.theory.two_layer_edge(fs.PopulationRisk(fs.Laplace(dim=2)), step_size=8.0)
    >>> print(f"k = 10^4: theta {float(edge.angle_rms(10**4)):.5f} in the mean, norm {float(edge.norm(10**4)):.1f}")
    k = 10^4: theta 0.00306 in the mean, norm 458.9
    """
    tail = rates(risk, 2).tail
    eta, critical = arguments.real("step_size", step_size, low=0.0, strict=True), critical_step_size(risk, 2)
    if not eta > critical:
        raise ValueError(f"`step_size` must be above 2/c = {critical:.6g} for two layers to reach the edge, but is {eta:.6g}")
    return TwoLayerEdge(critical / eta, risk.pull, tail)


def growing_bursts_step_size(risk: Any) -> float:
    """eta = 2 sqrt(m)/c, m the root above 1 of (3-a) m^2 - (10+2a) m - (1+a) = 0; for a = 1 eta c = 2 sqrt(3 + sqrt(10)) = 4.96.

    The step size above which `TwoLayerEdge.burst_exponent` is positive: bursts grow, and the direction no longer converges.

    risk: as in `two_layer_edge`. Source: derivations/two_layer_edge.py, formal.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Laplace(dim=2))
    >>> eta = fs.theory.growing_bursts_step_size(risk)
    >>> round(eta * risk.pull, 6), abs(fs.theory.two_layer_edge(risk, eta).burst_exponent) < 1e-12
    (4.964787, True)
    """
    a = rates(risk, 2).tail.exponent
    half = 5.0 + a
    return 2.0 / risk.pull * sqrt((half + sqrt(half**2 + (3.0 - a) * (1.0 + a))) / (3.0 - a))
