"""Networks and independent integrations that the tests of layers share."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

import flowsim as fs


@pytest.fixture(scope="session")
def gaussian3() -> fs.PopulationRisk:
    return fs.PopulationRisk(fs.Gaussian(dim=3))


def gradients(risk: fs.PopulationRisk, matrices: Sequence[np.ndarray], v: np.ndarray) -> list[np.ndarray]:
    """grad_{W_j} L = (W_N ... W_(j+1))^T grad L(w)^T (W_(j-1) ... W_1)^T, multiplied out."""
    below = [np.eye(matrices[0].shape[1])]
    for matrix in matrices:
        below.append(matrix @ below[-1])
    above = [np.eye(1)]
    for matrix in reversed(matrices):
        above.append(above[-1] @ matrix)
    row = risk.gradient(below[-1][0], v)[None, :]
    return [above[len(matrices) - 1 - j].T @ row @ below[j].T for j in range(len(matrices))]


@pytest.fixture(scope="session")
def plain_descent() -> Callable[..., list[np.ndarray]]:
    """Gradient descent as anybody would write it: the matrices after so many steps."""

    def run(risk: fs.PopulationRisk, start: fs.Layers, v: np.ndarray, step_size: float, steps: int) -> list[np.ndarray]:
        matrices = [np.array(matrix) for matrix in start.matrices]
        for _ in range(steps):
            slopes = gradients(risk, matrices, v)
            matrices = [matrix - step_size * slope for matrix, slope in zip(matrices, slopes, strict=True)]
        return matrices

    return run
