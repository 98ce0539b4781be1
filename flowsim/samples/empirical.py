"""The empirical risk of a predictor w: L_n(w) = (1/n) sum_i log(1 + exp(-y_i <w, x_i>)), beside which `PopulationRisk` is n = infinity."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from scipy.special import expit

from flowsim import arguments
from flowsim.samples.dataset import check_data

Array = Float[np.ndarray, "..."]


def gradient(points: Any, w: Any) -> Any:
    """grad L_n of one w, (d,), from the y_i x_i, (n, d), in JAX: what every run in this room steps by."""
    return -(jax.nn.sigmoid(-(points @ w)) @ points) / points.shape[0]


@dataclass(frozen=True, eq=False)
class EmpiricalRisk:
    r"""L_n(w) = (1/n) sum_i log(1 + exp(-y_i <w, x_i>)). No exponential overflows, whatever the size of w.

    data: a DataSet; ValueError where it is something else.

    >>> import flowsim as fs
    >>> risk = fs.samples.EmpiricalRisk(fs.samples.DataSet([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]], v=[1.0, 1.0]))
    >>> risk.value([[0.0, 0.0], [1e4, -1e4]]).round(6).tolist()
    [0.693147, 13333.333333]
    """

    data: Any

    def __post_init__(self) -> None:
        check_data(self.data)

    def value(self, w: Any) -> Array:
        """L_n(w).

        w: (..., d); the result has the shape before d. ValueError on another.

        >>> import flowsim as fs
        >>> risk = fs.samples.EmpiricalRisk(fs.samples.DataSet([[1.0, 0.0]], v=[1.0, 0.0]))
        >>> risk.value([[-1e6, 0.0], [1.0, 0.0]]).round(6).tolist()
        [1000000.0, 0.313262]
        """
        return np.asarray(np.logaddexp(0.0, -self._margins(w)).mean(axis=-1))

    def gradient(self, w: Any) -> Array:
        """grad L_n(w) = -(1/n) sum_i y_i x_i/(1 + exp(y_i <w, x_i>)), (..., d).

        w: (..., d), as in `value`.

        >>> import flowsim as fs
        >>> risk = fs.samples.EmpiricalRisk(fs.samples.DataSet([[1.0, 0.0], [0.0, 2.0]], v=[1.0, 1.0]))
        >>> risk.gradient([0.0, 0.0]).tolist()
        [-0.25, -0.5]
        """
        return -(expit(-self._margins(w)) @ self.data.points) / self.data.size

    def hessian(self, w: Any) -> Array:
        """(1/n) sum_i s(m_i) s(-m_i) x_i x_i^T, m_i = y_i <w, x_i>, s(m) = 1/(1 + exp(-m)): (..., d, d).

        w: (..., d), as in `value`.

        >>> import flowsim as fs
        >>> risk = fs.samples.EmpiricalRisk(fs.samples.DataSet([[1.0, 0.0], [0.0, 2.0]], v=[1.0, 1.0]))
        >>> risk.hessian([0.0, 0.0]).tolist()
        [[0.125, 0.0], [0.0, 0.5]]
        """
        margins = self._margins(w)
        weights = expit(margins) * expit(-margins) / self.data.size
        return np.einsum("...n,ni,nj->...ij", weights, self.data.points, self.data.points, optimize=True)

    def error_rate(self, w: Any) -> Array:
        """The share of samples with y_i <w, x_i> <= 0.

        w: (..., d), as in `value`.

        >>> import flowsim as fs
        >>> risk = fs.samples.EmpiricalRisk(fs.samples.DataSet([[1.0, 0.0], [0.0, 2.0]], v=[1.0, 1.0]))
        >>> risk.error_rate([[1.0, 1.0], [1.0, -1.0]]).tolist()
        [0.0, 0.5]
        """
        return np.asarray((self._margins(w) <= 0.0).mean(axis=-1))

    def smallest_margin(self, w: Any) -> Array:
        """min over i of y_i <w, x_i>/|w|; nan where w = 0.

        w: (..., d), as in `value`.

        >>> import flowsim as fs
        >>> risk = fs.samples.EmpiricalRisk(fs.samples.DataSet([[1.0, 0.0], [0.0, 2.0]], v=[1.0, 1.0]))
        >>> risk.smallest_margin([[3.0, 4.0], [4.0, -3.0]]).round(12).tolist()
        [0.6, -1.2]
        """
        w = arguments.reals("w", w)
        norm = np.linalg.norm(w, axis=-1)
        return np.asarray(np.where(norm > 0.0, self._margins(w).min(axis=-1) / np.where(norm > 0.0, norm, 1.0), np.nan))

    def _margins(self, w: Any) -> Array:
        w = arguments.reals("w", w)
        if w.ndim == 0 or w.shape[-1] != self.data.dim:
            raise ValueError(f"`w` must have shape (..., {self.data.dim}), but has shape {w.shape}")
        return w @ self.data.points.T
