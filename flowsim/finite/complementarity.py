"""Least |w|^2 with all margins at least 1, seen through the Gram matrix of the margins alone: no dimension enters."""

import numpy as np
from jaxtyping import Float
from scipy.linalg import LinAlgError, cho_factor, cho_solve

PATIENCE = 10
"""Exchanges of whole sets without progress, before they are exchanged one by one, which always ends."""

ROUNDS = 10_000
"""Exchanges at most; some ten are enough."""

ACCURACY = 1e-9
"""What the margins on the support, and those off it, may be missed by."""


def multipliers(gram: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n"]:
    """lambda >= 0 with M lambda >= 1, and equality where lambda > 0: multipliers of least |w|^2 with <p_i, w> >= 1, for M_ik = <p_i, p_k>.

    Principal pivoting in blocks (Judice, Pires 1994): the support F is guessed, lambda_F = M_FF^-1 1, and all that come out on the wrong
    side change it; after `PATIENCE` rounds without progress only the last of them does, which ends for every positive definite M
    (Murty 1974). w = sum_i lambda_i p_i, |w|^2 = sum_i lambda_i.

    gram: M, (n, n), symmetric and positive definite on every support that is met.

    ValueError where M is not that: where points depend on each other `max_margin` has the answer.

    >>> import numpy as np
    >>> from flowsim.finite.complementarity import multipliers
    >>> points = np.array([[1.0, 2.0, 0.0], [1.0, -2.0, 0.0], [3.0, 0.0, 1.0]])
    >>> multipliers(points @ points.T).round(12).tolist()
    [0.5, 0.5, 0.0]
    """
    n = len(gram)
    scale = float(np.abs(np.diag(gram)).max())
    matrix = gram / scale if scale > 0.0 else gram
    inside, fewest, patience = np.ones(n, dtype=bool), n + 1, PATIENCE
    for _ in range(ROUNDS):
        found = np.zeros(n)
        found[inside] = _solve(matrix[np.ix_(inside, inside)])
        slack = matrix @ found - 1.0
        wrong = np.where(inside, found < 0.0, slack < -0.1 * ACCURACY)
        count = int(wrong.sum())
        if count == 0:
            if not np.abs(slack[inside]).max(initial=0.0) < ACCURACY:
                break
            return found / scale
        if count < fewest:
            fewest, patience = count, PATIENCE
        elif patience > 0:
            patience -= 1
        else:
            wrong[: np.flatnonzero(wrong)[-1]] = False
        inside = inside ^ wrong
    raise _singular()


def _solve(matrix: np.ndarray) -> np.ndarray:
    if len(matrix) == 0:
        return np.zeros(0)
    try:
        return cho_solve(cho_factor(matrix), np.ones(len(matrix)))
    except LinAlgError:
        raise _singular() from None


def _singular() -> ValueError:
    return ValueError("`gram` must be positive definite for its multipliers to be found by pivoting, but is singular to rounding")
