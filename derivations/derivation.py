"""What a derivation is: a chain of checked equalities, and the expressions it arrives at.

A module of this package builds its derivation with an `Argument`. Every equality passed to it is checked
before it is recorded: symbolically where SymPy can, otherwise to 30 digits at several points (and then the
step says so). A step that does not hold raises `StepFailed`, so a derivation that exists has been verified.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import sympy as sp

from derivations.checking import StepFailed, agree, vanishes

__all__ = ["Argument", "Derivation", "Step", "StepFailed"]

Link = tuple[str, sp.Basic]


@dataclass(frozen=True)
class Step:
    """One line of a derivation: `first (relation) second (relation) third ...`."""

    sentence: str
    """What is done, in words."""
    first: sp.Basic
    links: tuple[Link, ...]
    """Pairs of a relation (`=`, `<=` or `<`) and the expression to its right."""
    witness: str
    """How the step was checked: `definition`, `symbolic`, or the digits and number of points."""


@dataclass(frozen=True)
class Derivation:
    """A verified derivation and its results as named expressions."""

    name: str
    title: str
    source: str
    """The paper and the number of the statement there, or `derived here`."""
    steps: tuple[Step, ...]
    results: Mapping[str, Any]
    """SymPy expressions."""

    def function(self, result: str, *arguments: sp.Symbol, functions: Mapping[str, Callable[..., Any]] | None = None) -> Callable[..., Any]:
        """The named result as a NumPy function of `arguments`.

        `functions` supplies what the expression leaves open, such as `{"h": risk.growth}`.
        """
        if result not in self.results:
            raise KeyError(f"{self.name} has no result {result!r}; it has {', '.join(self.results)}")
        return sp.lambdify(arguments, self.results[result], modules=[dict(functions or {}), "scipy", "numpy"])


@dataclass
class Argument:
    """A derivation under construction; each method checks, records and hands back what it established."""

    name: str
    title: str
    source: str
    steps: list[Step] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)

    def let(self, sentence: str, symbol: Any, meaning: Any) -> Any:
        """Record the definition `symbol = meaning` and return the meaning."""
        self._record(sentence, symbol, [("=", meaning)], "definition")
        return meaning

    def equal(self, sentence: str, *chain: Any, label: Any = None) -> Any:
        """Check that all expressions of the chain are equal, record it, return the last.

        `label` is shown in front of the chain (`r'` for a computed rate) and takes no part in the check.
        """
        for left, right in pairwise(chain):
            if not vanishes(left, right):
                raise StepFailed(sentence, left, right)
        self._chain(sentence, chain, label, "symbolic")
        return chain[-1]

    def same_numbers(
        self,
        sentence: str,
        *chain: Any,
        at: Sequence[Mapping[sp.Symbol, Any]],
        label: Any = None,
        digits: int = 30,
    ) -> Any:
        """Check the chain to `digits` digits at the points `at`, record it as numerical, return the last."""
        for left, right in pairwise(chain):
            for point in at:
                if not agree(left, right, point, digits):
                    raise StepFailed(f"{sentence} (at {dict(point)})", left, right)
        points = "1 point" if len(at) == 1 else f"{len(at)} points"
        self._chain(sentence, chain, label, f"{digits} digits at {points}")
        return chain[-1]

    def at_most(self, sentence: str, smaller: Any, larger: Any, gap: Any, strict: bool = False) -> Any:
        """Check `larger - smaller = gap` where SymPy can tell the sign of `gap`, and return the gap.

        The gap has to be written so that its sign can be read off (squares, products of positive symbols).
        """
        if not vanishes(larger - smaller, gap):
            raise StepFailed(sentence, larger - smaller, gap)
        if not (gap.is_positive if strict else gap.is_nonnegative):
            raise StepFailed(f"{sentence} (sign of the gap not evident)", smaller, larger)
        self._record(sentence, smaller, [("<" if strict else "<=", larger)], "symbolic")
        return gap

    def result(self, **named: Any) -> None:
        """Name expressions that the steps so far have established."""
        for name, expression in named.items():
            if name in self.results:
                raise ValueError(f"{self.name} already has a result {name!r}")
            self.results[name] = sp.sympify(expression)

    def close(self) -> Derivation:
        """The finished derivation."""
        return Derivation(self.name, self.title, self.source, tuple(self.steps), MappingProxyType(dict(self.results)))

    def _chain(self, sentence: str, chain: Sequence[Any], label: Any, witness: str) -> None:
        shown = list(chain) if label is None else [label, *chain]
        self._record(sentence, shown[0], [("=", part) for part in shown[1:]], witness)

    def _record(self, sentence: str, first: Any, links: Sequence[tuple[str, Any]], witness: str) -> None:
        parts = tuple((relation, sp.sympify(part)) for relation, part in links)
        self.steps.append(Step(sentence, sp.sympify(first), parts, witness))
