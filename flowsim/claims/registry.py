"""The registry: every claim, in the order of the theory, and the run over it."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from flowsim import arguments
from flowsim.claims import descent, figure_1, finite, flow, late, layers, problem, regimes, samples
from flowsim.claims.claim import Claim, Verdict, judge
from flowsim.claims.settings import Setting
from flowsim.claims.theorems import bounds, step_sizes
from flowsim.dynamics.trajectory import versions

FORMAT = "flowsim-checks-1"
"""The schema of checks.json: entries may be added under this name, none is renamed or removed."""


@lru_cache(maxsize=1)
def chapters() -> dict[str, tuple[Claim, ...]]:
    """Every claim flowsim measures, by what it is about.

    >>> from flowsim.claims import chapters, registry
    >>> sum(map(len, chapters().values())) == len(registry())
    True
    """
    rooms = {
        "The population risk": (problem,),
        "Gradient flow": (flow,),
        "Bounds on the direction": (bounds, figure_1),
        "Late rates": (late,),
        "Descent beside the flow": (descent,),
        "Descent with any step sizes": (step_sizes,),
        "Regimes of descent": (regimes,),
        "Layers of matrices": (layers,),
        "Samples": (samples,),
        "Finite data": (finite,),
    }
    return {title: tuple(claim for room in every for claim in room.claims()) for title, every in rooms.items()}


def registry() -> tuple[Claim, ...]:
    """Every claim flowsim measures.

    >>> from flowsim.claims import registry
    >>> len(registry()) == len({claim.name for claim in registry()})
    True
    """
    return tuple(claim for claims in chapters().values() for claim in claims)


@dataclass(frozen=True)
class Report:
    """The verdicts of a run over the registry. Made by `check`.

    verdicts: one a claim, in order.  interrupted: whether Ctrl-C ended it.  setting: what it was measured over.

    >>> import flowsim as fs
    >>> report = fs.check(["lemma-3-direction-speed", "norm-rate"], laws=fs.Gaussian(dim=2), depths=2)
    >>> report.passed, len(report.measured)
    (True, 2)
    """

    verdicts: tuple[Verdict, ...]
    interrupted: bool = False
    setting: Setting = field(default_factory=Setting)

    @property
    def measured(self) -> tuple[Verdict, ...]:
        """The verdicts on claims that speak of the setting."""
        return tuple(verdict for verdict in self.verdicts if verdict.measured)

    @property
    def passed(self) -> bool:
        """Something was measured, every claim has the verdict a correct program gives, and none was left out by an interruption."""
        return bool(self.measured) and not self.interrupted and all(verdict.as_expected for verdict in self.verdicts)

    def to_dict(self) -> dict[str, Any]:
        """checks.json.

        >>> import flowsim as fs
        >>> fs.check(["lemma-3-direction-speed"], laws=fs.Gaussian(dim=2), depths=2).to_dict()["passed"]
        True
        """
        setting = self.setting
        return {
            "format": FORMAT,
            "claims": [verdict.to_dict() for verdict in self.verdicts],
            "passed": self.passed,
            "interrupted": self.interrupted,
            "setting": {
                "laws": None if setting.laws is None else [law.label() for law in setting.laws],
                "depths": None if setting.depths is None else list(setting.depths),
                "seed": setting.seed,
                "thorough": setting.thorough,
            },
            "versions": versions(),
        }


def check(
    names: Sequence[str] | None = None,
    *,
    laws: Any = None,
    depths: Any = None,
    seed: Any = 0,
    thorough: bool = False,
    on_verdict: Callable[[Verdict], None] | None = None,
) -> Report:
    """Measure the claims of these names, or all, in order; ``on_verdict`` is called after each.

    names: as in the registry, `flowsim.theory.claims()`.
    laws: a `Law` or several, in the place of each claim's own.  depths: likewise, 1 to 100; claims that speak of none of them, or of no
        such law, come out "outside".
    seed: of samples, random step sizes and random starts.  thorough: longer runs and more cases.

    Ctrl-C ends the run and keeps the verdicts reached. ValueError for a name that is not in the registry, and for bad laws, depths, seed.

    >>> import flowsim as fs
    >>> report = fs.check(["theorem-5-first-phase-as-derived", "theorem-5-first-phase-as-printed"], laws=fs.Sphere(dim=2), depths=4)
    >>> [verdict.finding.verdict for verdict in report.verdicts], report.passed
    (['holds', 'violated'], True)
    """
    setting = Setting(laws, depths, seed, thorough)
    every = registry()
    wanted = [claim.name for claim in every] if names is None else [arguments.one_of("names", n, [c.name for c in every]) for n in names]
    verdicts: list[Verdict] = []
    with _presses() as pressed:
        try:
            for claim in every:
                if claim.name in wanted:
                    verdict = judge(claim, setting)
                    if pressed:
                        raise KeyboardInterrupt
                    verdicts.append(verdict)
                    if on_verdict is not None:
                        on_verdict(verdict)
        except KeyboardInterrupt:
            return Report(tuple(verdicts), interrupted=True, setting=setting)
    return Report(tuple(verdicts), setting=setting)


@contextmanager
def _presses() -> Iterator[list[int]]:
    """A list that holds something once Ctrl-C was pressed: a run inside a claim may end there, with what it has, and say no more."""
    pressed: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    # another thread than the main one gets no signals; a handler of the user's own stays
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield pressed
        return

    def note(number: int, frame: Any) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
