r"""What n samples change: a floor under the angle, of order (n r)^(-1/2), and a margin that is felt in the end.

On the sphere of norm r the risk has the curvature c r in theta, and one sample's gradient has the variance V(r) in each of d - 1 components
across v (`gradient_noise`). So the empirical risk points away from v by theta_n,

    E theta_n^2 = (d-1) V(r)/(n c^2) ~ (d-1) (2 log 2 - 1)/(c n r)

as long as many samples lie in the sigmoid layer, r << n f(0). Later the smallest margin is felt, and the direction turns to the
max-margin separator of the sample like 1/log t (Soudry et al. 2018).
"""

from dataclasses import dataclass
from math import atan, exp, gamma, log, nan
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.integrate import solve_ivp
from scipy.optimize import root_scalar
from scipy.special import expit

from flowsim import arguments
from flowsim.problem import PopulationRisk
from flowsim.problem.law import dirichlet_eta
from flowsim.theory.rates import DEEPEST, rates
from flowsim.theory.sample_noise import across_variance
from flowsim.theory.states import State, single_depth

Array = Float[np.ndarray, "..."]


def sample_direction_error(risk: Any, norm: Any, samples: Any) -> Array:
    """sqrt((d-1) V(r)/n)/c ~ sqrt((d-1) (2 log 2 - 1)/(c n r)): root mean square angle between v and what n samples make of it at norm r.

    That is the direction of least empirical risk among the w of norm r, which a run at any depth follows once its start is forgotten: there
    the norm grows slower than the direction relaxes, by h(r)/c. Leading order in 1/n, correct to a relative d r/(n f(0)).

    risk: a `PopulationRisk` without label noise.  norm: r, 1e-100 to 1e100 and below `margin_norm`.  samples: n, whole, 1 or more.
    They broadcast, and the result has their shape.

    ValueError where one is not what it must be. Source: derivations/sample_noise.py.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Sphere(dim=2))
    >>> fs.theory.sample_direction_error(risk, norm=[1.0, 10.0, 100.0], samples=10**4).round(6).tolist()
    [0.008932, 0.003476, 0.001102]
    """
    r, n = arguments.reals("norm", norm, low=1e-100, high=1e100), arguments.whole("samples", samples, low=1)
    try:
        np.broadcast_shapes(r.shape, n.shape)
    except ValueError:
        raise ValueError(f"`norm` and `samples` must broadcast, but have shapes {r.shape} and {n.shape}") from None
    most = margin_norm(risk, n)
    if not (r < most).all():
        least = float(most.min())
        raise ValueError(
            f"`norm` must be below margin_norm(risk, samples), here {least:.6g}, but is {r.max():.6g}: no sample is left in the layer"
        )
    return _error(risk, r, n)


def _error(risk: PopulationRisk, r: Array, n: np.ndarray) -> Array:
    return np.asarray(np.sqrt((risk.law.dim - 1) * across_variance(risk.law, r) / n) / risk.pull)


def margin_norm(risk: Any, samples: Any) -> Array:
    """1/E[min |x_1|] ~ n f(0), for P(|x_1| < u) ~ C u^a (n C)^(1/a)/Gamma(1 + 1/a): the norm at which the smallest of n margins is felt.

    The population's laws hold well below; far above, every sample is separated with certainty and the max-margin direction is approached.

    risk: a `PopulationRisk` without label noise, of a law whose growth has a power tail.  samples: n, whole, 1 or more, of any shape.

    ValueError where one is not what it must be. Source: derivations/sample_noise.py.

    >>> import flowsim as fs
    >>> fs.theory.margin_norm(fs.PopulationRisk(fs.Sphere(dim=3)), samples=[10, 1000]).round(9).tolist()
    [10.0, 1000.0]
    """
    tail, n = rates(risk, 1).tail, arguments.whole("samples", samples, low=1)
    a = tail.exponent
    # K = C a Gamma(a+1) etaD(a+1)
    density = tail.constant / (a * gamma(a + 1.0) * dirichlet_eta(a + 1.0))
    return np.asarray((n * density) ** (1.0 / a) / gamma(1.0 + 1.0 / a))


@dataclass(frozen=True)
class SampleCrossover:
    """Where a run on n samples leaves the population's prediction: time, norm r and angle theta of the prediction there.

    time: t.  norm: r.  angle: theta; nan for `margin_crossover`, by when the prediction of the angle has long failed.

    >>> import flowsim as fs
    >>> fs.theory.margin_crossover(fs.PopulationRisk(fs.Sphere(dim=3)), samples=10**4, depth=2).norm.__round__(6)
    10000.0
    """

    time: float
    norm: float
    angle: float


def direction_crossover(risk: Any, start: Any, samples: Any, depth: Any) -> SampleCrossover:
    r"""theta(t) = theta_n(r(t)): where the population's angle, which falls without end, meets the error of n samples.

    Along the population's flow with s = log tan(theta/2) as the variable, which passes turning points of the norm smoothly:

        dlog r/ds = -(N/c) (h(r) - c (1 - cos theta)),    dt/ds = -r^(2/N-1)/c

    To leading order in log n: -s = (log n)/2, t = ((log n)/(2 B))^(1/b) with -s ~ B t^b of `rates`.

    risk: a `PopulationRisk` without label noise, of a law whose growth has a power tail.  start: a single `Start`, angle in (0, pi).
    samples: n, one whole number.  depth: N, whole, 1 to 100, of balanced layers.
    Returns `SampleCrossover`: at time 0 where the start's angle is below the error already.

    ValueError where one is not what it must be, or where n is so small that its margin is felt first.
    Source: derivations/sample_noise.py.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Sphere(dim=2))
    >>> found = fs.theory.direction_crossover(risk, fs.Start(norm=1.0, angle=1.5), samples=10**4, depth=1)
    >>> f"t {found.time:.2f}, r {found.norm:.4f}, theta {found.angle:.5f}"
    't 43.16, r 4.0446, theta 0.00540'
    """
    layers, n = single_depth(depth, high=DEEPEST), _single(samples)
    far = float(margin_norm(risk, n))
    state, c = State.of(start), risk.pull
    if not np.isfinite(state.log_tan_half_angle):
        raise ValueError(f"`start` must have an angle in (0, pi), but has {float(start.angle):.6g}")
    if state.norm >= far:
        raise ValueError(f"`start` must have a norm below margin_norm(risk, samples), {far:.6g}, but has {state.norm:.6g}")

    def velocity(turned: float, y: np.ndarray) -> list[float]:
        r = exp(y[0])
        gap = 2.0 * expit(2.0 * (state.log_tan_half_angle - turned))
        return [layers * (float(risk.growth(r)) / c - gap), r ** (2.0 / layers - 1.0) / c]

    def excess(turned: float) -> float:
        r = exp(run.sol(turned)[0])
        return log(_angle(state.log_tan_half_angle - turned)) - log(float(_error(risk, np.asarray(r), np.asarray(n))))

    # V falls with r, so the error is at least that at the largest norm at which it is one
    least = log(0.5 * float(_error(risk, np.asarray(far), np.asarray(n))))
    last = max(state.log_tan_half_angle - least, 1e-3)
    run = solve_ivp(velocity, (0.0, last), [log(state.norm), 0.0], method="DOP853", rtol=1e-10, atol=1e-10, dense_output=True)
    if excess(0.0) <= 0.0:
        turned = 0.0
    elif run.status != 0 or excess(last) > 0.0 or exp(run.sol(last)[0]) >= far:
        raise ValueError(f"`samples` must be more for the direction to show their error before their margin does, but is {n}")
    else:
        turned = float(root_scalar(excess, bracket=(0.0, last), method="brentq", xtol=1e-12).root)
    log_norm, time = run.sol(turned)
    return SampleCrossover(float(time), exp(log_norm), _angle(state.log_tan_half_angle - turned))


def margin_crossover(risk: Any, samples: Any, depth: Any) -> SampleCrossover:
    """r = n f(0) and t = r^m/(m N K), m = a + 2/N, for a = 1 r^(1+2/N)/((N+2) K): where the growing norm feels the smallest of n margins.

    Orders of magnitude: the smallest margin fluctuates by as much as its mean, and in d > 2 dimensions d - 1 angles fit the samples, so
    that the empirical risk is half the population's at a norm some d - 1 times less (measured for d = 3 and 5). From here on the norm grows
    slower than the population's and the risk falls faster; the direction turns to the max-margin separator like 1/log t.

    risk: a `PopulationRisk` without label noise, of a law whose growth has a power tail.  samples: n, one whole number.
    depth: N, whole, 1 to 100. Returns `SampleCrossover` with an angle of nan.

    ValueError where one is not what it must be. Source: derivations/sample_noise.py.

    >>> import flowsim as fs
    >>> found = fs.theory.margin_crossover(fs.PopulationRisk(fs.Sphere(dim=2)), samples=1000, depth=1)
    >>> print(f"r {found.norm:.1f}, t {found.time:.4g}")
    r 636.6, t 1.643e+08
    """
    layers, n = single_depth(depth, high=DEEPEST), _single(samples)
    r, tail = float(margin_norm(risk, n)), risk.tail
    m = tail.exponent + 2.0 / layers
    return SampleCrossover(r**m / (m * layers * tail.constant), r, nan)


def _single(samples: Any) -> int:
    n = arguments.whole("samples", samples, low=1)
    if n.ndim:
        raise ValueError(f"`samples` must be a single whole number, but has shape {n.shape}")
    return int(n)


def _angle(s: float) -> float:
    return 2.0 * atan(exp(s))
