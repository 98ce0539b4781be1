"""Claims about gradient descent beyond the flow: any step size, the edge of stability, the delayed first burst, label noise."""

from collections.abc import Sequence

import numpy as np

from flowsim.claims.claim import Claim, Finding, as_formal, finding_of_gaps
from flowsim.claims.settings import laws
from flowsim.dynamics import Trajectory, gradient_descent
from flowsim.problem import Gaussian, Laplace, PopulationRisk, Sphere, Start
from flowsim.theory import critical_step_size, direction_rate, first_burst, label_noise_stability, rates, two_layer_edge

FORMAL = "derived, formal (derivations/{})"


def _case(risk: PopulationRisk, depth: int, step_size: float) -> str:
    return f"{risk.label()}, N = {depth}, eta c = {step_size * risk.pull:.3g}"


def _measure_any_step_size() -> Finding:
    """Late -s against the flow's law at t = eta k, which step sizes of all sizes share."""
    risks, scales, gaps = [PopulationRisk(law) for law in laws()], np.array([0.1, 1.9, 2.1, 10.0, 1000.0]), {}
    grid = np.empty((len(risks), 1, 1), dtype=object)
    grid[:, 0, 0] = risks
    eta = scales / np.array([risk.pull for risk in risks])[:, None]
    run = gradient_descent(grid, Start([[0.05], [30.0]], [[2.8], [2.0]]), eta[:, None, :], [10**18], 1, estimate_error=False)
    run.require_ok()
    s, time = run.log_tan_half_angle[..., -1], run.time[..., -1]
    for risk, found, when, sizes in zip(risks, s, time, eta, strict=True):
        off = np.abs(found / rates(risk, 1).log_tan_half_angle(when) - 1.0).max(axis=0)
        gaps |= {_case(risk, 1, size): float(gap) for size, gap in zip(sizes, off, strict=True)}
    return finding_of_gaps(
        gaps,
        2e-4,
        "the direction converges, and late -s follows the flow's law, at every step size",
        f"largest gap of s to the law at k = 1e18: {{gap}} (relative), {{count}} laws and step sizes; least -s {-s.max():.3g}",
        "2e-4; the step itself counts for sigma/2 = eta c/(2 r)",
    )


def _measure_below_critical() -> Finding:
    gaps = {}
    for risk in (PopulationRisk(Gaussian(2)), PopulationRisk(Sphere(3)), PopulationRisk(Laplace(2))):
        for scale in (0.1, 0.5, 0.9, 1.3, 1.9):
            eta = scale / risk.pull
            steps = np.array([10**14, 10**15])
            run = gradient_descent(risk, Start(1.0, 1.5), eta, steps, 2)
            slope = float(np.diff(run.log_tan_half_angle)[-1] / np.diff(steps)[-1])
            gaps[_case(risk, 2, eta)] = abs(slope / float(direction_rate(risk, 2, eta)) - 1.0)
    return finding_of_gaps(
        gaps,
        1e-5,
        "s ~ k log|1 - eta c| for eta c < 2",
        "largest gap of ds/dk between k = 1e14 and 1e15: {gap} (relative), {count} laws and step sizes",
        "1e-5; layers made unequal by C at the start keep sigma C/(2 r) off eta c, r = 1e7 there",
    )


def _octave(risk: PopulationRisk, scale: float, last: int) -> Trajectory:
    """A two-layer run above the threshold, recorded every 100 steps of its last octave: a burst is a few hundred steps long."""
    return gradient_descent(risk, Start(1.0, 0.1), scale / risk.pull, np.arange(last // 2, last, 100), 2, method="exact")


def _above_critical(scales: Sequence[float], last: int, norm: bool) -> Finding:
    gaps = {}
    for risk in (PopulationRisk(Gaussian(2)), PopulationRisk(Sphere(3))):
        for scale in scales:
            run, edge = _octave(risk, scale, last), two_layer_edge(risk, scale / risk.pull)
            over_law = run.norm / edge.norm(run.step) if norm else run.angle / edge.angle_rms(run.step)
            ratio = np.mean(over_law**2)
            gaps[_case(risk, 2, scale / risk.pull)] = abs(float(ratio) - 1.0)
    what = "r^2" if norm else "theta^2"
    law = "r^2 = 16 K k/(c (1 + kappa^2))" if norm else "mean theta^2 = (1 - kappa^2)/(8 k)"
    return as_formal(
        finding_of_gaps(
            gaps,
            0.05,
            f"eta c > 2: {law}, kappa = 2/(eta c)",
            f"largest gap of the mean of {what} over its law, k = {last // 2:.0e} to {last:.0e}: {{gap}}, {{count}} laws and step sizes",
            "0.05; bursts, not yet small, take part in the mean",
        )
    )


def _burst_peaks(scales: Sequence[float], last: int, records: int) -> Finding:
    """The largest angle of each half octave of k against k, in log-log."""
    gaps = {}
    for risk in (PopulationRisk(Gaussian(2)), PopulationRisk(Sphere(3))):
        for scale in scales:
            steps = np.unique(np.geomspace(last / 100.0, last, records).astype(int))
            run = gradient_descent(risk, Start(1.0, 0.1), scale / risk.pull, steps, 2, method="exact")
            bins = np.arange(np.log2(steps[0]), np.log2(last), 0.5)
            which = np.digitize(np.log2(steps), bins)
            peaks = [np.log(run.angle[which == i].max()) for i in range(1, bins.size)]
            slope = float(np.polyfit(bins[:-1] * np.log(2.0), peaks, 1)[0])
            gaps[_case(risk, 2, scale / risk.pull)] = abs(slope - two_layer_edge(risk, scale / risk.pull).burst_exponent)
    return as_formal(
        finding_of_gaps(
            gaps,
            0.03,
            "eta c > 2: burst peaks scale as k^((m^2 - 6 m - 1)/(12 m)), m = (eta c/2)^2",
            f"largest gap of the exponent, k = {last // 100:.0e} to {last:.0e}: {{gap}}, {{count}} laws and step sizes",
            "0.03; the exponent of theta_rms, -1/2, is 0.06 off or more",
        )
    )


BURSTS = {3: (0.1, 0.2), 4: (0.03, 0.06), 6: (0.01, 0.02)}
BURSTS_THOROUGH = {3: (0.03, 0.1), 4: (0.01, 0.03), 6: (0.003, 0.01)}
"""Depth: eta c. The smaller, the nearer to the limit of large norms, and the later."""


def burst_of(risk: PopulationRisk, depth: int, step_size: float) -> tuple[int, float]:
    """The step of the first burst, and sigma there."""
    late = round(4.0 * first_burst(risk, depth, step_size).step) + 1000
    found = gradient_descent(risk, Start(1.0, 1.0), step_size, [late], depth, stop_at_burst=True, estimate_error=False)
    step = int(found.coverage.first_burst) if found.coverage is not None else -1
    if step < 0:
        raise RuntimeError(f"no burst before step {late}: {_case(risk, depth, step_size)}")
    there = gradient_descent(risk, Start(1.0, 1.0), step_size, [step], depth, estimate_error=False)
    return step, float(there.sharpness[-1])


def _first_bursts(scales: dict[int, tuple[float, ...]], tolerance: float) -> Finding:
    sigmas, steps = {}, {}
    for risk in (PopulationRisk(Gaussian(2)), PopulationRisk(Sphere(3))):
        for depth, pulls in scales.items():
            for scale in pulls:
                eta = scale / risk.pull
                predicted = first_burst(risk, depth, eta)
                step, sigma = burst_of(risk, depth, eta)
                sigmas[_case(risk, depth, eta)] = abs(sigma / predicted.sigma - 1.0)
                steps[_case(risk, depth, eta)] = abs(step / predicted.step - 1.0)
    latest = max(steps.values())
    finding = finding_of_gaps(
        {**sigmas, **{f"{case}, step": gap for case, gap in steps.items()}},
        tolerance,
        "the first burst comes at sigma with int_0^sigma log|1-x| x^(4/(N-2)) dx = 0: 2.5116, 2.9136, 3.3890 for N = 3, 4, 6",
        f"largest gap of sigma {max(sigmas.values()):.1e}, of the step {latest:.1e} (relative), {len(sigmas)} runs",
        f"{tolerance:g}; both fall with the step size",
    )
    return as_formal(finding)


NOISE = ((PopulationRisk(Gaussian(2), 0.1), 1), (PopulationRisk(Sphere(3), 0.2), 1), (PopulationRisk(Gaussian(2), 0.1), 2))


def _measure_label_noise() -> Finding:
    """Below the critical step size the run rests at r*; above, where the norm or N = 1 loses stability first, it keeps moving."""
    rest, moving, worst = 0.0, np.inf, ""
    for risk, depth in NOISE:
        stability = label_noise_stability(risk, depth)
        critical = critical_step_size(risk, depth)
        steps = np.arange(100_000, 100_020)
        start = Start(0.9 * stability.norm, 0.1)
        below = gradient_descent(risk, start, 0.97 * critical, steps, depth)
        gap = float(np.abs(below.norm / stability.norm - 1.0).max())
        if gap > rest:
            rest, worst = gap, _case(risk, depth, 0.97 * critical)
        if depth == 1 or stability.radial_first:
            above = gradient_descent(risk, start, 1.03 * critical, steps, depth)
            travel = float(np.hypot(np.diff(above.norm) / stability.norm, np.diff(above.angle * above.side)).max())
            moving = min(moving, travel)
    return Finding(
        "holds" if rest < 1e-9 and moving > 1e-3 else "violated",
        "the run rests at r*, h(r*) = 2 eps c, below eta = 2/max(lambda), and oscillates about it above",
        f"at 0.97 of it |r/r* - 1| < {max(rest, 1e-16):.0e}; at 1.03 of it steps of {moving:.2g} r* remain",
        "1e-9 at rest; 1e-3 in motion",
        worst,
        {"rest": rest, "moving": moving},
    )


def claims() -> list[Claim]:
    two = "Gaussian(dim=2) and Sphere(dim=3)"
    return [
        Claim(
            "one-layer-converges-at-any-step-size",
            r"N=1:\ \theta(k)\to 0\ \text{for every } \eta>0",
            "derived (derivations/edge_of_stability.py)",
            "six laws, two starts, eta c from 0.1 to 1000, k = 1e18",
            _measure_any_step_size,
        ),
        Claim(
            "two-layer-exponential-below-threshold",
            r"N=2,\ \eta c<2:\ s\sim k\log|1-\eta c|",
            "derived (derivations/edge_of_stability.py)",
            "three laws, eta c from 0.1 to 1.9, to k = 1e15",
            _measure_below_critical,
        ),
        Claim(
            "two-layer-angle-above-threshold",
            r"N=2,\ \eta c>2:\ \overline{\theta^2}=(1-\kappa^2)/(8k),\ \kappa=2/(\eta c)",
            FORMAL.format("two_layer_edge.py"),
            f"{two}, from |w(0)| = 1, theta(0) = 0.1, near the slow manifold",
            lambda: _above_critical((2.2, 2.6), 4_000_000, norm=False),
            "consistent",
            lambda: _above_critical((2.2, 2.6, 3.0), 30_000_000, norm=False),
        ),
        Claim(
            "two-layer-norm-above-threshold",
            r"N=2,\ \eta c>2:\ r^2=16Kk/(c(1+\kappa^2))",
            FORMAL.format("two_layer_edge.py"),
            f"{two}, from |w(0)| = 1, theta(0) = 0.1, near the slow manifold",
            lambda: _above_critical((2.2, 2.6), 4_000_000, norm=True),
            "consistent",
            lambda: _above_critical((2.2, 2.6, 3.0), 30_000_000, norm=True),
        ),
        Claim(
            "two-layer-burst-peaks",
            r"N=2,\ \eta c>2:\ \max\theta\sim k^{(m^2-6m-1)/(12m)},\ m=(\eta c/2)^2",
            FORMAL.format("two_layer_edge.py"),
            f"{two}, from |w(0)| = 1, theta(0) = 0.1, near the slow manifold",
            lambda: _burst_peaks((3.0,), 10_000_000, 200_000),
            "consistent",
            lambda: _burst_peaks((2.6, 3.0), 30_000_000, 1_000_000),
        ),
        Claim(
            "delayed-first-burst",
            r"N\ge 3:\ \int_0^{\Sigma}\log|1-x|\,x^{4/(N-2)}dx=0",
            FORMAL.format("edge_of_stability.py"),
            f"{two}, N = 3, 4, 6, two step sizes each, |w(0)| = 1, theta(0) = 1",
            lambda: _first_bursts(BURSTS, 0.02),
            "consistent",
            lambda: _first_bursts(BURSTS_THOROUGH, 0.005),
        ),
        Claim(
            "label-noise-minimiser-and-its-stability",
            r"h(r_*)=2\varepsilon c;\ \text{stable iff } \eta\max(c(1-2\varepsilon)r_*^{1-2/N},\,-N r_*^{2-2/N}h'(r_*))<2",
            "derived (derivations/descent.py)",
            "Gaussian(dim=2) with 0.1 at N = 1, 2; Sphere(dim=3) with 0.2 at N = 1; 0.97 and 1.03 of the critical step size",
            _measure_label_noise,
        ),
    ]
