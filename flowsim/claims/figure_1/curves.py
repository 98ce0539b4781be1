"""What figure 1 shows of angle, risk and norm, and of one depth beside the other."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding
from flowsim.claims.figure_1.runs import RELATIVE, ROUNDING, RUNS, depths_asked, drawn
from flowsim.claims.paper import PAPER
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import OutOfScope, Setting
from flowsim.dynamics import gradient_flow
from flowsim.problem import PopulationRisk, log_times
from flowsim.theory.paper import FIGURE_1

SPEED_OFF = 2e-3
"""By how much a step of descent may differ from the speed at which it begins, relative: eta/2 times the largest second derivative of s, r
or L over the scales of `Speeds`, which is 3.2 on the figure's runs (L, N = 4)."""


class Speeds(NamedTuple):
    """s', r' and L', and what their gaps are measured against: all of it for s' and L', both parts of r' added up."""

    direction: np.ndarray
    norm: np.ndarray
    risk: np.ndarray
    norm_scale: np.ndarray


def speeds(risk: PopulationRisk, norm: np.ndarray, gap: np.ndarray, depth: int, pull: float = 1.0) -> Speeds:
    """s' = -c r^(1-2/N), r' = N r^(2-2/N) (h - c gap), L' = -r^(2-2/N) ((c sin theta)^2 + N (h - c gap)^2), gap = 1 - cos theta.

    pull: a factor of c, 1 for the right one.
    """
    c, h, layers = pull * risk.pull, risk.growth(norm), norm ** (2.0 - 2.0 / depth)
    lift = h - c * gap
    loss = -layers * (c**2 * gap * (2.0 - gap) + depth * lift**2)
    return Speeds(-c * layers / norm, depth * layers * lift, loss, depth * layers * (h + c * gap))


def _measure_curves(setting: Setting, predicted: Callable[..., Speeds]) -> Finding:
    gaps, wrong, turned, risk = {}, [], {}, FIGURE_1.risk
    sketch = Sketch(r"$\eta n$", r"$r'$ / (sum of its parts)")
    for depth in depths_asked(setting):
        for curve in drawn(depth):
            run, name = curve.run, f"N = {depth}, {curve.name}"
            found = [np.diff(x) / np.diff(run.time) for x in (run.log_tan_half_angle, run.norm, run.risk)]
            ends = [predicted(risk, run.norm[part], run.one_minus_cos[part], depth) for part in (slice(None, -1), slice(1, None))]
            # a step of descent goes as it begins, the flow between records as in the mean
            mean = ends[0] if curve.name == "descent" else Speeds(*(0.5 * (a + b) for a, b in zip(*ends, strict=True)))
            scales = (np.abs(mean.direction), mean.norm_scale, np.abs(mean.risk))
            for which, a, b, scale in zip(("angle", "norm", "risk"), found, mean, scales, strict=False):
                gaps[f"{name}, {which}"] = float(np.max(np.abs(a - b) / scale))
            grows, should = found[1] > 0.0, mean.norm > 0.0
            turned[name] = int(np.argmax(grows)), int(np.argmax(should))
            falls = (found[0] < 0.0).all() and (found[2] < 0.0).all()
            if not falls or grows[0] or np.sum(grows[1:] != grows[:-1]) != 1 or abs(turned[name][0] - turned[name][1]) > 1:
                wrong.append(name)
            if curve.name == "descent":
                sketch.measured(run.time[1:], found[1] / mean.norm_scale, f"$N={depth}$")
                sketch.predicted(run.time[1:], mean.norm / mean.norm_scale)
    worst = max(gaps, key=lambda name: gaps[name])
    least = {n: turned[f"N = {n}, descent"] for n in depths_asked(setting)}
    said = ", ".join(f"{found} (N = {n}, predicted {predicted})" for n, (found, predicted) in least.items())
    kept = f"not so on {', '.join(wrong)}" if wrong else "so they do"
    return Finding(
        "holds" if not wrong and gaps[worst] < SPEED_OFF else "violated",
        "angle and risk fall in every step; the norm falls while h < c (1 - cos theta), and grows from then on",
        f"{kept}; descent's norm is least at n = {said}; speeds off by at most {gaps[worst]:.1e}",
        f"the sign of every step; the norm's least to one record; {SPEED_OFF:g} of the speeds, eta/2 times a second derivative",
        worst,
        {"gaps": gaps, "first record from which the norm grows, found and predicted": turned},
        sketch.done(),
    )


def exponent_of(depth: int) -> float:
    """s' = -c r^(1-2/N)."""
    return 1.0 - 2.0 / depth


def _exponent_off(depth: int) -> float:
    return 1.0 - 2.02 / depth


def _measure_overtaking(setting: Setting, exponent: Callable[[int], float]) -> Finding:
    shallow, deep = FIGURE_1.depths
    if depths_asked(setting) != (shallow, deep):
        raise OutOfScope(f"compares N = {shallow} with N = {deep}")
    found, gaps = {}, {}
    sketch = Sketch(r"$\eta n$", rf"$s_{{{deep}}}-s_{{{shallow}}}$")
    for one, other in zip(drawn(shallow), drawn(deep), strict=True):
        time = np.intersect1d(one.run.time, other.run.time)
        pick = [np.searchsorted(curve.run.time, time) for curve in (one, other)]
        behind = other.run.log_tan_half_angle[pick[1]] - one.run.log_tan_half_angle[pick[0]]
        speed = FIGURE_1.risk.pull * (one.run.norm[pick[0]] ** exponent(shallow) - other.run.norm[pick[1]] ** exponent(deep))
        lag = np.concatenate([[0.0], np.cumsum(0.5 * (speed[1:] + speed[:-1]) * np.diff(time))])
        found[one.name] = _crossing(time, behind), _crossing(time, lag)
        gaps[one.name] = abs(found[one.name][0] / found[one.name][1] - 1.0)
        if one.name == "flow":
            sketch.measured(time, behind, "measured")
            sketch.predicted(time, lag, "from the norms")
    late = log_times(found["flow"][0] * 1.01, 1e12, 60)
    runs = [gradient_flow(FIGURE_1.risk, FIGURE_1.start, late, n) for n in (shallow, deep)]
    stays = bool((runs[1].log_tan_half_angle < runs[0].log_tan_half_angle).all())
    once = all(np.isfinite(times).all() for times in found.values())
    holds = once and stays and gaps["flow"] < 1e-4 and gaps["descent"] < RELATIVE
    measured, predicted = found["flow"]
    i = int(np.searchsorted(drawn(shallow)[0].run.time, measured))
    return Finding(
        "holds" if holds else "violated",
        f"N = {deep} is behind until the integral of r_1^-1 - r_4^(1/2) is zero again, and ahead for ever after",
        f"flow: behind until eta n = {measured:.4f} (from the norms: {predicted:.4f}), where theta = {drawn(shallow)[0].run.angle[i]:.4f}, "
        f"then ahead to 1e12{'' if stays else ': no'}; descent: {found['descent'][0]:.3f} (from its norms: {found['descent'][1]:.3f})",
        f"1e-4 of the time on the flow, eta = {RELATIVE:g} of it in descent",
        "flow" if gaps["flow"] / 1e-4 > gaps["descent"] / RELATIVE else "descent",
        {name: {"crossing": times[0], "from the norms": times[1]} for name, times in found.items()},
        sketch.done(),
    )


def _crossing(time: np.ndarray, lag: np.ndarray) -> float:
    """The only time at which ``lag``, 0 at first, goes from above 0 to below; nan where it does so never or again."""
    told = np.flatnonzero(np.abs(lag) > ROUNDING)
    above = lag[told] > 0.0
    changes = np.flatnonzero(above[1:] != above[:-1])
    if not above[0] or changes.size != 1:
        return float("nan")
    i = int(told[changes[0]])
    return float(time[i] + (time[i + 1] - time[i]) * lag[i] / (lag[i] - lag[i + 1]))


def claims() -> list[Claim]:
    figure, about = f"{PAPER}, figure 1", ("Figure 1",)
    return [
        Claim(
            "figure-1-angle-risk-norm",
            r"\theta'<0,\quad L'<0,\quad r'<0 \text{ while } h(r)<c(1-\cos\theta),\ \text{then } r'>0",
            figure,
            RUNS,
            speeds,
            _measure_curves,
            "The difference of s, L and |w| between any two records: its sign, and its size beside the speeds, formulas of r and theta.",
            "One step in which angle or risk does not fall, a second change of the norm's direction, or one more than a record from where "
            "h = c (1 - cos theta), or a speed off by 0.2 %.",
            Control("c larger by 1 % in the speeds", partial(speeds, pull=1.01)),
            derivation="deep_flow",
            about=(*about, "Lemma 2"),
        ),
        Claim(
            "figure-1-deeper-network-overtakes",
            r"s_4(t)>s_1(t) \text{ until } \int_0^t\left(r_1^{-1}-r_4^{1/2}\right)d\tau=0,\ s_4<s_1 \text{ after}",
            figure,
            f"{RUNS}; the flow also to t = 1e12",
            exponent_of,
            _measure_overtaking,
            "The time at which the two directions are equal, from s itself and from the norms of the same runs.",
            "No such time or two; or the two ways to find it disagreeing by more than 1e-4 (flow) or 1e-3 (descent) of it.",
            Control("s' = -c r^(1-2.02/N)", _exponent_off),
            derivation="deep_flow",
            about=(*about, "Lemma 3"),
        ),
    ]
