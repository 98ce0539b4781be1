"""Medians of repeated runs, and the rows they make."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any


@dataclass(frozen=True)
class Row:
    """One line of the table: what was timed, the median, the spread, and what it is compared with."""

    what: str
    value: str
    beside: str = ""


def seconds(call: Callable[[], Any], repeats: int = 7, warm: int = 1) -> tuple[float, float, float]:
    """(least, median, largest) of ``repeats`` calls after ``warm`` calls that are not counted."""
    for _ in range(warm):
        call()
    times = []
    for _ in range(repeats):
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
    return min(times), median(times), max(times)


def show(times: tuple[float, float, float], per: float = 1.0) -> str:
    """ "median unit (least to largest)", the time of one of ``per`` things."""
    least, middle, largest = (t / per for t in times)
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        if middle >= size or unit == "ns":
            return f"{middle / size:.3g} {unit} ({least / size:.3g} to {largest / size:.3g})"
    raise AssertionError("unreachable")
