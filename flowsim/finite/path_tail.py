"""What is left of the path of W/|W| when a run ends, from how it slowed down."""

from typing import NamedTuple

import numpy as np


class Tail(NamedTuple):
    """left: what is left of a path.  error: by how much the estimate differs from one made from earlier records."""

    left: float
    error: float


def path_tail(log_time: np.ndarray, length: np.ndarray, status: str) -> Tail:
    """The sum of what follows, if it falls by the same factor from each doubling of log t to the next: see `HomogeneousRun.path_tail`."""
    from scipy.interpolate import PchipInterpolator

    good = np.isfinite(length) & (log_time > 0.5)
    end = float(log_time[-1])
    if status != "ok" or end < 8.0 or np.count_nonzero(good) < 6:
        raise ValueError(f"`path_tail` needs a run to log t = 8 or further, with 6 records or more, but this went to {end:.4g}: {status}")
    # against 1/log t the path is nearly straight far out
    passed = PchipInterpolator(np.log(log_time[good]), length[good])

    def left(at: float) -> float:
        z = passed(np.log(np.array([at, at / 2.0, at / 4.0])))
        near, before = float(z[0] - z[1]), float(z[1] - z[2])
        if near <= 0.0:
            return 0.0
        return near * near / (before - near) if near < before else np.inf

    earlier = end / np.sqrt(2.0)
    now, then = left(end), left(earlier) - float(length[-1] - passed(np.log(earlier)))
    return Tail(now, float(abs(now - then)) if np.isfinite(now) and np.isfinite(then) else np.inf)
