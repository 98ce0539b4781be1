"""The registry: every claim, in the order of the theory, and the run over it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flowsim import arguments
from flowsim.claims import bounds, descent, flow, rates, regimes, risk, step_sizes
from flowsim.claims.claim import Claim, Verdict, judge
from flowsim.dynamics.trajectory import versions


@lru_cache(maxsize=1)
def registry() -> tuple[Claim, ...]:
    """Every claim flowsim measures."""
    return (*risk.claims(), *flow.claims(), *bounds.claims(), *rates.claims(), *descent.claims(), *step_sizes.claims(), *regimes.claims())


@dataclass(frozen=True)
class Report:
    """The verdicts of a run over the registry."""

    verdicts: tuple[Verdict, ...]
    interrupted: bool = False

    @property
    def passed(self) -> bool:
        """Every claim has the verdict a correct program gives, and none was left out."""
        return not self.interrupted and all(verdict.as_expected for verdict in self.verdicts)

    def to_dict(self) -> dict[str, Any]:
        """checks.json."""
        return {
            "claims": [verdict.to_dict() for verdict in self.verdicts],
            "passed": self.passed,
            "interrupted": self.interrupted,
            "versions": versions(),
        }


def check(names: Sequence[str] | None = None, on_verdict: Callable[[Verdict], None] | None = None, thorough: bool = False) -> Report:
    """Measure the claims of these names, or all, in order; ``on_verdict`` is called after each. thorough: by the longer measurements.

    Ctrl-C ends the run and keeps the verdicts reached. ValueError for a name that is not in the registry.
    """
    every = registry()
    wanted = [claim.name for claim in every] if names is None else [arguments.one_of("names", n, [c.name for c in every]) for n in names]
    verdicts: list[Verdict] = []
    try:
        for claim in every:
            if claim.name in wanted:
                verdict = judge(claim, thorough)
                verdicts.append(verdict)
                if on_verdict is not None:
                    on_verdict(verdict)
    except KeyboardInterrupt:
        return Report(tuple(verdicts), interrupted=True)
    return Report(tuple(verdicts))
