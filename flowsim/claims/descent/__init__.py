"""Claims about gradient descent beside the flow: the map on layers, the gap, the modified field."""

from flowsim.claims.descent.gaps import claims

__all__ = ["claims"]
