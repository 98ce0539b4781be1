"""SymPy derivations behind flowsim: one module a result, every step checked when it is built.

`python -m derivations` prints all of them; `derivations.derive(name)` returns one, with its results as
expressions.
"""

from derivations.catalogue import derive, names
from derivations.derivation import Derivation, Step, StepFailed

__all__ = ["Derivation", "Step", "StepFailed", "derive", "names"]
