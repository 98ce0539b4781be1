"""The symbols and open functions that all derivations share.

A, h and kappa know each other's derivatives (A' = -h, h' = -kappa), which the module `risk` derives.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

__all__ = ["A", "K", "N", "c", "c0", "f", "h", "kappa", "r", "rho", "s", "t", "theta", "u", "z"]

r = sp.Symbol("r", positive=True)
"""Norm of the predictor w."""
theta = sp.Symbol("theta", positive=True)
"""Angle between w and the teacher v, in (0, pi)."""
s = sp.Symbol("s", real=True)
"""log tan(theta/2)."""
c = sp.Symbol("c", positive=True)
"""The pull: E|x_1|/2."""
c0 = sp.Symbol("c_0", positive=True)
"""Mean norm of x's projection on a plane: pi c."""
K = sp.Symbol("K", positive=True)
"""h(r) ~ K/r^2."""
N = sp.Symbol("N", positive=True)
"""Depth."""
t = sp.Symbol("t", positive=True)
"""Time."""
u = sp.Symbol("u", positive=True)
"""A value of |x_1|."""
rho = sp.Symbol("rho", positive=True)
"""A value of the norm of x's projection on the plane of v and w."""
z = sp.Symbol("z", real=True)
"""A margin."""
f = sp.Function("f")
"""Density of |x_1| on (0, oo)."""


class _Curvature(sp.Function):
    """kappa(r) = -h'(r) = E[u^2 e^(ru)/(1 + e^(ru))^2]."""

    def _eval_is_positive(self) -> bool:
        return True


class _Growth(sp.Function):
    """h(r) = E[u/(1 + e^(ru))]."""

    def fdiff(self, argindex: int = 1) -> Any:
        """h' = -kappa."""
        return -kappa(self.args[0])

    def _eval_is_positive(self) -> bool:
        return True


class _AlignedRisk(sp.Function):
    """A(r) = E log(1 + e^(-ru))."""

    def fdiff(self, argindex: int = 1) -> Any:
        """A' = -h."""
        return -h(self.args[0])

    def _eval_is_positive(self) -> bool:
        return True


# SymPy prints a function by the name of its class.
_Curvature.__name__, _Growth.__name__, _AlignedRisk.__name__ = "kappa", "h", "A"
kappa: Any = _Curvature
"""Curvature along the ray."""
h: Any = _Growth
"""Growth of the norm once aligned."""
A: Any = _AlignedRisk
"""Aligned risk."""
