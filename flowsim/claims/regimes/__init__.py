"""Claims about the regimes of gradient descent: one layer, two layers, bursts at the edge of stability, label noise."""

from flowsim.claims.regimes.edge import claims

__all__ = ["claims"]
