"""Claims about a burst of three and more layers: where it ends, and when the next one comes.

A burst lasts some tens of steps, in which a large norm does not grow: it is the map on (a, z) without h,

    a <- a - eta c a^(N-2) |z| (1 - cos theta),   z_par <- z_par + eta c a^(N-1) (1 - cos theta),   z_perp <- (1 - sigma) z_perp

sigma = eta c a^(N-1)/|z|, which has no scale: from balanced layers and small z_perp all depends on N and on the sigma it starts from
alone, but for the phase of the first steps. It leaves |z|^2 - a^2 > 0, which is conserved while the norm climbs again, and the next burst
comes when the sum of log|1 - sigma| from there is 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.optimize import root_scalar

from flowsim.claims.claim import Claim, Control, Finding, as_formal, finding_of_gaps
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import OutOfScope, Setting
from flowsim.claims.units import risks_of, step_size_for, unit_norm
from flowsim.dynamics import Trajectory, gradient_descent
from flowsim.problem import Gaussian, PopulationRisk, Sphere, Start
from flowsim.theory import first_burst

Array = np.ndarray

PHASES = 96
"""Sizes of the first z_perp, over one factor sigma - 1."""
SOME = 16
"""Of them, where each costs some integrals."""


@dataclass(frozen=True)
class Collapse:
    """Where a burst ends, for each phase, (P,): sigma; a and |z|, in units of the layers' size before it.

    norm: what it leaves of the norm, a^(N-1) |z|.
    """

    sharpness: Array
    layer: Array
    first: Array
    depth: int

    @property
    def norm(self) -> Array:
        return self.layer ** (self.depth - 1) * self.first


@lru_cache(maxsize=256)
def collapse(sharpness: float, depth: int, phases: int = PHASES) -> Collapse:
    """Follow the map without h from balanced layers at this sigma > 2 until the part across v has gone. nan where it does not come back."""
    a, q = np.ones(phases), np.ones(phases)
    p = 1e-7 * (sharpness - 1.0) ** (np.arange(phases) / phases)
    done = np.zeros(phases, dtype=bool)
    for _ in range(5000):
        with np.errstate(all="ignore"):
            z = np.hypot(q, p)
            power = a ** (depth - 1)
            sigma = sharpness * np.abs(power) / z
            cos, sin = np.sign(power) * q / z, p / z
            gap = np.where(cos > 0.5, sin**2 / (1.0 + cos), 1.0 - cos)
            done |= (sigma < 2.0) & (np.abs(sin) < 1e-8)
            lost = ~(np.abs(power) * z < 1e6)
            if (done | lost).all():
                break
            # a phase that has arrived waits for the others
            a_next = a - sharpness * np.sign(power) * a ** (depth - 2) * z * gap
            q_next, p_next = q + sharpness * power * gap, p * (1.0 - sigma)
            a, q, p = (np.where(done, old, new) for old, new in zip((a, q, p), (a_next, q_next, p_next), strict=True))
    layer, first = np.where(done, a, np.nan), np.where(done, np.hypot(q, p), np.nan)
    return Collapse(sharpness * layer ** (depth - 1) / first, layer, first, depth)


def next_burst(risk: PopulationRisk, depth: int, step_size: float, norm: float, after: Collapse) -> Array:
    """Steps from a burst at this norm to the next, for each phase of ``after``, (P,).

    sum of log|1 - sigma| = 0 with dk = da/(eta a^(N-2) |z| h), |z|^2 = a^2 + const, sigma = eta (c - h) a^(N-1)/|z|.
    """
    size = norm ** (1.0 / depth)
    return np.array([_regained(risk, depth, step_size, size * a, size * z) for a, z in zip(after.layer, after.first, strict=True)])


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(60)


def _regained(risk: PopulationRisk, depth: int, step_size: float, layer: float, first: float) -> float:
    def at(u: Any) -> tuple[Array, Array]:
        """sigma, and dk/du, u = log a; of any shape."""
        a = np.exp(u)
        z = np.sqrt(a * a + (first**2 - layer**2))
        r = a ** (depth - 1) * z
        return np.asarray(step_size * risk.drag(r) * a ** (depth - 1) / z), np.asarray(a ** (3 - depth) / (step_size * z * risk.growth(r)))

    def level(sigma: float) -> float:
        return _root(lambda u: float(at(u)[0]) - sigma, begin, top)

    def total(of: Callable[[Array], Array], edge: float, other: float) -> float:
        """The integral between the two; at ``edge``, where log|1 - sigma| may be singular, the nodes are dense."""
        x = 0.5 * (_NODES + 1.0)
        return abs(other - edge) * float(0.5 * _WEIGHTS @ (of(edge + (other - edge) * x**3) * 3.0 * x**2))

    def gain(u: Array) -> Array:
        sigma, steps = at(u)
        return np.log(np.maximum(np.abs(1.0 - sigma), 1e-300)) * steps

    begin = float(np.log(layer))
    low = float(at(begin)[0])
    # sigma grows at least like a^(N-2), and the next burst is below 13
    top = begin + (float(np.log(20.0 / low)) + 2.0) / (depth - 2)
    one, two = (level(1.0) if low < 1.0 else begin), level(2.0)
    fallen = (total(gain, one, begin) if one > begin else 0.0) + total(gain, one, two)
    back = _root(lambda u: fallen + total(gain, two, u), two, top)
    return sum(total(lambda u: at(u)[1], low, high) for low, high in zip((begin, one, two), (one, two, back), strict=True))


def _root(of: Callable[[float], float], low: float, high: float) -> float:
    return float(root_scalar(of, bracket=(low, high), method="brentq", xtol=1e-14).root)


def growth_in_a_burst(risk: PopulationRisk, depth: int, sharpness: float, norm: float) -> float:
    """60 N sigma h/c: how much the norm grows, relatively, in the steps of a burst's beginning or end; what the map leaves out."""
    return 60.0 * depth * sharpness * float(risk.growth(norm)) / risk.pull


BURST_NORM = 1000.0
"""Norm near which a first burst comes, in units of 1/E|x_1| and times sqrt(N/3)."""


@lru_cache(maxsize=64)
def _through(risk: PopulationRisk, depth: int, norm: float, angle: float) -> tuple[Trajectory, int, float]:
    """A run to six times the step of its first burst, recorded closely through the first collapse; that step and eta."""
    eta, begin = step_size_for(risk, depth, 3.0, norm), unit_norm(risk)
    law = first_burst(risk, depth, eta, begin)
    start, due = Start(begin, angle), law.step_refined
    found = gradient_descent(risk, start, eta, [round(1.5 * due) + 200], depth, "exact")
    assert found.coverage is not None
    burst = int(found.coverage.first_burst)
    if burst < 0:
        raise RuntimeError(f"no burst before step {round(1.5 * due) + 200}: {risk.label()}, N = {depth}, eta = {eta:.6g}")
    near = np.arange(max(burst - 300, 0), burst + 700)
    far = np.linspace(0, 6 * burst, 20_000).astype(np.int64)
    return gradient_descent(risk, start, eta, np.unique(np.concatenate([near, far])), depth, "exact"), burst, eta


def _steady(setting: Setting) -> list[tuple[str, PopulationRisk, int, Trajectory, int, float]]:
    """The runs whose first burst ends at every phase. OutOfScope where there is none."""
    out, angle = [], float(setting.generator(412).uniform(0.02, 0.1))
    for risk in risks_of(setting, Gaussian(2), Sphere(3)):
        for depth in setting.depths_or((3, 4, 5, 6, 10, 30) if setting.thorough else (3, 4, 6), low=3):
            norm = BURST_NORM * float(np.sqrt(depth / 3.0)) * (3.0 if setting.thorough else 1.0)
            eta = step_size_for(risk, depth, 3.0, norm)
            law = first_burst(risk, depth, eta, unit_norm(risk))
            grown = growth_in_a_burst(risk, depth, law.sigma_refined, law.norm_refined)
            if all(np.isfinite(collapse(law.sigma_refined * (1.0 + share * grown), depth).norm).all() for share in (-2.0, 0.0, 2.0)):
                run, burst, eta = _through(risk, depth, norm, angle)
                out.append((f"{risk.label()}, N = {depth}, k = {burst}", risk, depth, run, burst, eta))
    if not out:
        raise OutOfScope("speaks of bursts that end: those of these laws and depths may throw the run out of the double range")
    return out


def _around(run: Trajectory, burst: int) -> tuple[float, float, int]:
    """The largest sigma before the burst's end; the least sigma behind it, and the record that has it."""
    assert run.step is not None
    near = np.flatnonzero((run.step >= burst - 300) & (run.step < burst + 700))
    sigma = run.sharpness[near]
    lowest = int(near[sigma.argmin()])
    return float(sigma[: sigma.argmin() + 1].max()), float(run.sharpness[lowest]), lowest


CollapseLaw = Callable[[float, int], Collapse]


def _outside(found: float, ranges: Array) -> tuple[float, float, float]:
    """By how much ``found`` is outside the values, as a share of the largest; the least and the largest."""
    low, high = float(ranges.min()), float(ranges.max())
    return max(low - found, found - high, 0.0) / high, low, high


def _measure_collapse(setting: Setting, theory: CollapseLaw) -> Finding:
    gaps, sketch, said, limit = {}, Sketch("step $k$ from the burst", r"$\sigma$"), [], 0.0
    for name, risk, depth, run, burst, _ in _steady(setting):
        assert run.step is not None
        before, after, lowest = _around(run, burst)
        top = float(run.norm[: lowest + 1].max())
        grown = growth_in_a_burst(risk, depth, before, top)
        limit = max(limit, 2e-3 + grown + growth_in_a_burst(risk, depth, after, float(run.norm[lowest])))
        # sigma itself grows while the burst does
        laws = [theory(before * (1.0 + share * grown), depth) for share in (-1.0, 0.0, 1.0)]
        left = float(run.norm[lowest]) / top
        gaps[f"{name}, norm"], *_ = _outside(left, np.concatenate([law.norm for law in laws]))
        gaps[f"{name}, sigma"], low, high = _outside(after, np.concatenate([law.sharpness for law in laws]))
        said.append(f"N = {depth}: sigma {before:.3f} to {after:.3f} ({low:.3f}-{high:.3f})")
        if len(sketch.curves) < 6:
            shown = np.flatnonzero((run.step > burst - 60) & (run.step < burst + 60))
            sketch.measured(run.step[shown] - burst, run.sharpness[shown], f"{run.problem.law.name}, $N={depth}$")
            for level in (low, high):
                sketch.predicted(np.array([30.0, 60.0]), np.full(2, level))
    finding = finding_of_gaps(
        gaps,
        limit,
        "a burst from sigma > 2 ends at a sigma < 2 and a share of the norm that depend on sigma and N alone, up to the phase of its steps",
        f"{'; '.join(said[:3])}; sigma and norm at most {{gap}} outside the range of the phases, {{count}} numbers",
        f"{limit:.1e}: the growth h during the burst, which the map leaves out",
        "distance from the range, relative",
        sketch.done(),
    )
    return as_formal(finding)


NextLaw = Callable[[PopulationRisk, int, float, float, Collapse], Array]


def _measure_next(setting: Setting, theory: NextLaw) -> Finding:
    gaps, sketch, said, limit = {}, Sketch("step $k$ over that of the first burst", r"$\sigma$"), [], 0.0
    for name, risk, depth, run, burst, eta in _steady(setting):
        assert run.step is not None
        before, after, lowest = _around(run, burst)
        top = float(run.norm[: lowest + 1].max())
        grown = growth_in_a_burst(risk, depth, before, top)
        limit = max(limit, 5e-3 + grown + growth_in_a_burst(risk, depth, after, float(run.norm[lowest])))
        laws = [theory(risk, depth, eta, top, collapse(before * (1.0 + share * grown), depth, SOME)) for share in (-1.0, 1.0)]
        sigma = run.sharpness[lowest:]
        falls = np.flatnonzero((sigma[:-1] > 2.0) & (sigma[1:] <= 2.0))
        if not falls.size:
            gaps[name] = np.inf
            continue
        steps = float(run.step[lowest + int(falls[0])] - burst)
        gaps[name], low, high = _outside(steps, np.concatenate(laws))
        said.append(f"N = {depth}: {steps / burst:.3f} ({low / burst:.3f}-{high / burst:.3f})")
        if len(sketch.curves) < 6:
            sketch.measured(run.step / burst, run.sharpness, f"{risk.law.name}, $N={depth}$")
            sketch.predicted(np.full(2, 1.0 + 0.5 * (low + high) / burst), np.array([0.0, float(sigma.max())]))
    sketch.limit(np.array([0.0, 6.0]), np.full(2, 2.0))
    finding = finding_of_gaps(
        gaps,
        limit,
        "bursts recur: the second comes where the sum of log|1 - sigma| from the first on is 0, with the layers as the first left them",
        f"steps between them over those to the first, {'; '.join(said[:3])}; at most {{gap}} outside the phases' range, {{count}} runs",
        f"{limit:.1e}: the growth h during the burst, and a burst's own length",
        "distance from the range, relative",
        sketch.done(),
    )
    return as_formal(finding)


def claims() -> list[Claim]:
    """In the order of the report."""
    two = "Gaussian(dim=2) and Sphere(dim=3), N = 3, 4, 6, |w(0)| = 1/E|x_1|, theta(0) random in [0.02, 0.1], bursts near r = 1000/E|x_1|"
    return [
        Claim(
            name="first-burst-collapse",
            statement=r"N\ge 3:\quad \sigma\to\sigma'(\sigma,N)<2,\ r\to\rho(\sigma,N)\,r\ \text{in a burst, by the map with } h=0",
            source="derived, formal",
            setting=two,
            theory=collapse,
            measure=_measure_collapse,
            method="sigma before the first burst, and the least sigma and the share of the norm behind it, against the map without h from "
            "balanced layers at that sigma, over 96 phases of its first steps.",
            fails="sigma or the norm behind the burst outside the range of the phases by more than 0.2 % and the norm's growth in a burst",
            control=Control("the map from 1.005 sigma", lambda sigma, depth: collapse(1.005 * sigma, depth)),
            expected="consistent",
            derivation="descent",
        ),
        Claim(
            name="bursts-recur",
            statement=r"N\ge 3:\quad \int\frac{\log|1-\sigma|\,da}{a^{N-2}|z|\,h(r)}=0\ \text{between bursts},\quad |z|^2-a^2=\text{const},"
            r"\ \sigma=\eta(c-h)\frac{a^{N-1}}{|z|}",
            source="derived, formal",
            setting=two,
            theory=next_burst,
            measure=_measure_next,
            method="The step at which sigma falls through 2 for the second time, from the burst's on, against the integral from the layers "
            "that the map without h leaves.",
            fails="a second burst outside the range of the phases by more than 0.5 % and the norm's growth in a burst, or none by "
            "six times the steps to the first",
            control=Control("1.02 times the steps", lambda *args: 1.02 * next_burst(*args)),
            expected="consistent",
            derivation="edge_of_stability",
        ),
    ]
