"""What claims are measured over: laws, depths and starts, and their flows, solved once for all claims."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from scipy import stats

from flowsim import arguments
from flowsim.dynamics import Trajectory, Turning, gradient_flow, turning_point
from flowsim.problem import Ball, Gaussian, Laplace, Law, PopulationRisk, Radial, Sphere, Start, StudentT, log_times
from flowsim.theory.paper import FIGURE_1

PAPER_START = FIGURE_1.start

NORMS = (1.0, 0.3, 5.0, 0.05, 1.0, 30.0)
ANGLES = (float(PAPER_START.angle), 0.5, float(np.arccos(0.9)), 2.8, 3.1, 2.0)
"""Starts: the paper's own first; rising and falling norms; near the saddle; far out."""

RANDOM_STARTS = 2
"""Drawn from the seed beside those."""

DEPTHS = (1, 2, 3, 4, 5)
LAST_TIME = 1e12


class OutOfScope(ValueError):
    """The statement does not speak of what was asked for; a ValueError that says of what it speaks.

    >>> from flowsim.claims import OutOfScope, Setting
    >>> try:
    ...     Setting(depths=1).depths_or((3, 4), low=3)
    ... except OutOfScope as reason:
    ...     print(reason)
    speaks of N >= 3, and not of N = 1
    """


@lru_cache(maxsize=1)
def six_laws() -> tuple[Law, ...]:
    """The paper's circle first; light, bounded, heavy-tailed, kinked and mixed laws."""
    return (Sphere(2), Gaussian(3), Ball(4, 2.0), StudentT(2, 3.0), Laplace(2), Radial(3, stats.gamma(4.0)))


@lru_cache(maxsize=64)
def risk_of(law: Law) -> PopulationRisk:
    """The risk on data of this law, built once."""
    return PopulationRisk(law)


@dataclass(frozen=True)
class Case:
    """One flow of the spread, to name it where a claim is decided by it."""

    risk: PopulationRisk
    depth: int
    start: Start

    def __str__(self) -> str:
        return f"{self.risk.label()}, N = {self.depth}, |w(0)| = {float(self.start.norm):.6g}, theta(0) = {float(self.start.angle):.6g}"


@dataclass(frozen=True)
class Setting:
    """What to measure over, where it is not each claim's own choice.

    laws: in the place of each claim's own, which is mostly `six_laws`.  depths: in the place of each claim's own, from 1 to 100.
    seed: of samples, of random step sizes, and of the random starts.  thorough: longer runs and more cases.

    ValueError where an entry is not what it must be.

    >>> import flowsim as fs
    >>> from flowsim.claims import Setting
    >>> setting = Setting(fs.Gaussian(dim=2), depths=[1, 2])
    >>> setting.starts.shape, len(setting.start_pairs), setting.flow_depths
    ((8,), 8, (1, 2))
    """

    laws: Any = None
    depths: Any = None
    seed: Any = 0
    thorough: bool = False

    def __post_init__(self) -> None:
        if self.laws is not None:
            laws = (self.laws,) if isinstance(self.laws, Law) else tuple(self.laws)
            for law in laws:
                if not isinstance(law, Law):
                    raise ValueError(f"`laws` must be a law or a sequence of laws, such as flowsim.Gaussian(2), but holds {law!r}")
            if not laws:
                raise ValueError("`laws` must hold at least one law, but is empty")
            object.__setattr__(self, "laws", laws)
        if self.depths is not None:
            depths = np.unique(arguments.whole("depths", self.depths, low=1, high=100))
            object.__setattr__(self, "depths", tuple(int(n) for n in depths))
        object.__setattr__(self, "seed", int(arguments.whole("seed", self.seed, low=0)))

    def laws_or(self, *own: Law) -> tuple[Law, ...]:
        """The laws asked for, or a claim's own.

        own: the claim's, by default the six; ``laws_or(*own)``.

        >>> import flowsim as fs
        >>> from flowsim.claims import Setting
        >>> Setting().laws_or(fs.Sphere(dim=2)), Setting(fs.Ball(dim=2)).laws_or(fs.Sphere(dim=2))
        ((Sphere(dim=2, radius=1.0),), (Ball(dim=2, radius=1.0),))
        """
        return self.laws or own or six_laws()

    def risks_or(self, *own: Law) -> tuple[PopulationRisk, ...]:
        """`laws_or`, as risks.

        own: as there.

        >>> import flowsim as fs
        >>> from flowsim.claims import Setting
        >>> [risk.label() for risk in Setting().risks_or(fs.Sphere(dim=2))]
        ['Sphere(dim=2, radius=1)']
        """
        return tuple(risk_of(law) for law in self.laws_or(*own))

    def depths_or(self, own: Sequence[int], low: int = 1, high: int = 100) -> tuple[int, ...]:
        """The depths asked for that lie in [low, high], of which the statement speaks; a claim's own where none were asked for.

        own: the claim's.  low, high: of which depths it speaks. OutOfScope where none of those asked for is among them.

        >>> from flowsim.claims import Setting
        >>> Setting().depths_or((1, 2)), Setting(depths=[1, 5]).depths_or((3, 4), low=3)
        ((1, 2), (5,))
        """
        if self.depths is None:
            return tuple(own)
        inside = tuple(n for n in self.depths if low <= n <= high)
        if not inside:
            spoken = f"N = {low}" if low == high else f"N >= {low}" if high == 100 else f"N = {low} to {high}"
            raise OutOfScope(f"speaks of {spoken}, and not of N = {', '.join(map(str, self.depths))}")
        return inside

    def generator(self, stream: int) -> np.random.Generator:
        """Random numbers of the seed; streams of different numbers are independent.

        stream: 0, 1, ...

        >>> from flowsim.claims import Setting
        >>> Setting(seed=1).generator(2).random() == Setting(seed=1).generator(2).random()
        True
        """
        return np.random.default_rng([self.seed, stream])

    @cached_property
    def start_pairs(self) -> tuple[tuple[float, float], ...]:
        """Norm and angle of each start: the six, then `RANDOM_STARTS` more, log-uniform in norm and uniform in angle."""
        draw = self.generator(0)
        norms = np.exp(draw.uniform(np.log(0.05), np.log(30.0), RANDOM_STARTS))
        angles = draw.uniform(0.05, 3.1, RANDOM_STARTS)
        return (*zip(NORMS, ANGLES, strict=True), *((float(r), float(theta)) for r, theta in zip(norms, angles, strict=True)))

    @property
    def starts(self) -> Start:
        """The starts as one batch, (8,)."""
        norms, angles = zip(*self.start_pairs, strict=True)
        return Start(list(norms), list(angles))

    @property
    def flow_depths(self) -> tuple[int, ...]:
        """The depths at which `flows` solves."""
        return self.depths or DEPTHS

    def flows(self) -> Trajectory:
        """The flows of every law, depth and start, shape (laws, depths, starts), at 240 times from 1e-3 to 1e12; solved once.

        >>> import flowsim as fs
        >>> from flowsim.claims import Setting
        >>> Setting(fs.Gaussian(dim=2), depths=[1, 2]).flows().shape
        (1, 2, 8)
        """
        return _flows(self.laws_or(), self.flow_depths, self.start_pairs)

    def cases(self, own: Sequence[int] = DEPTHS, low: int = 1, high: int = 100) -> list[tuple[Case, Trajectory]]:
        """Each case of the depths that `depths_or` gives, with its flow.

        own, low, high: as there.

        >>> import flowsim as fs
        >>> from flowsim.claims import Setting
        >>> case, run = Setting(fs.Gaussian(dim=2), depths=[1, 2]).cases()[0]
        >>> print(case)
        Gaussian(dim=2, scale=1), N = 1, |w(0)| = 1, theta(0) = 2.49809
        """
        depths = self.depths_or(own, low, high)
        run, out = self.flows(), []
        for i, risk in enumerate(self.risks_or()):
            for depth in depths:
                for k, (norm, angle) in enumerate(self.start_pairs):
                    out.append((Case(risk, depth, Start(norm, angle)), run[i, self.flow_depths.index(depth), k]))
        return out


@lru_cache(maxsize=4)
def _flows(laws: tuple[Law, ...], depths: tuple[int, ...], starts: tuple[tuple[float, float], ...]) -> Trajectory:
    grid = np.empty((len(laws), 1, 1), dtype=object)
    grid[:, 0, 0] = [risk_of(law) for law in laws]
    norms, angles = zip(*starts, strict=True)
    run = gradient_flow(grid, Start(list(norms), list(angles)), log_times(1e-3, LAST_TIME, 240), np.array(depths)[:, None])
    run.require_ok()
    return run


def turning(case: Case) -> Turning:
    """The turning point of a case, found once."""
    return _turning(case.risk, case.depth, float(case.start.norm), float(case.start.angle))


@lru_cache(maxsize=2048)
def _turning(risk: PopulationRisk, depth: int, norm: float, angle: float) -> Turning:
    return turning_point(risk, Start(norm, angle), depth)
