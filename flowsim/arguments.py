"""Checks of arguments: every refusal names the argument, says what it got and what it may be."""

import difflib
from collections.abc import Iterable
from typing import Any

import numpy as np


def real(name: str, value: Any, *, low: float = -np.inf, high: float = np.inf, strict: bool = False) -> float:
    """A finite number in [low, high], or in (low, high) where ``strict``."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"`{name}` must be a number, but is {value!r}") from None
    _within(name, np.asarray(number), low, high, strict)
    return number


def reals(name: str, value: Any, *, low: float = -np.inf, high: float = np.inf, strict: bool = False) -> np.ndarray:
    """An array of finite numbers in [low, high], or in (low, high) where ``strict``."""
    try:
        if np.iscomplexobj(value):
            raise ValueError
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"`{name}` must be a number or an array of numbers, but is {value!r}") from None
    if numbers.size == 0:
        raise ValueError(f"`{name}` must hold at least one number, but is empty")
    _within(name, numbers, low, high, strict)
    return numbers


def _within(name: str, numbers: np.ndarray, low: float, high: float, strict: bool) -> None:
    inside = (numbers > low) & (numbers < high) if strict else (numbers >= low) & (numbers <= high)
    good = inside & np.isfinite(numbers)
    if not good.all():
        bad = float(numbers[~good].flat[0])
        raise ValueError(f"`{name}` must be {_range(low, high, strict)}, but is {bad:.6g}")


def _range(low: float, high: float, strict: bool) -> str:
    if low == 0.0 and np.isinf(high):
        return "positive and finite" if strict else "zero or positive, and finite"
    if np.isinf(low) and np.isinf(high):
        return "finite"
    if np.isinf(high):
        return f"{'above' if strict else 'at least'} {low:.6g} and finite"
    return f"in {'(' if strict else '['}{low:.6g}, {high:.6g}{')' if strict else ']'}"


def whole(name: str, value: Any, *, low: int, high: int | None = None) -> np.ndarray:
    """An int64 array of whole numbers from low to high; 3.0 is one, 1.5 and True are not."""
    allowed = f"a whole number from {low} to {high}" if high is not None else f"a whole number, {low} or more"
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"`{name}` must be {allowed}, or an array of them, but is {value!r}") from None
    if array.dtype == bool or array.dtype.kind not in "iuf":
        raise ValueError(f"`{name}` must be {allowed}, but is {value!r}")
    if array.size == 0:
        raise ValueError(f"`{name}` must hold at least one number, but is empty")
    bad = (array < low) | (array != np.floor(array)) | ~np.isfinite(array.astype(float))
    if high is not None:
        bad |= array > high
    if bad.any():
        raise ValueError(f"`{name}` must be {allowed}, but is {array[bad].flat[0]}")
    if (array.astype(float) >= 2.0**63).any():
        raise ValueError(f"`{name}` must be {allowed}, and below 2^63, but is {array.max()}")
    return array.astype(np.int64)


def increasing(name: str, numbers: np.ndarray) -> np.ndarray:
    """``numbers``, (T,), if they increase strictly."""
    falls = np.flatnonzero(np.diff(numbers) <= 0)
    if falls.size:
        before, after = numbers[falls[0]], numbers[falls[0] + 1]
        raise ValueError(f"`{name}` must increase strictly, but {before:.6g} is followed by {after:.6g}")
    return numbers


def one_of(name: str, value: Any, known: Iterable[str]) -> str:
    """A known name; the refusal offers the nearest one."""
    names = list(known)
    if isinstance(value, str) and value in names:
        return value
    near = difflib.get_close_matches(str(value).lower(), [n.lower() for n in names], n=1, cutoff=0.5)
    hint = f"; did you mean {next(n for n in names if n.lower() == near[0])!r}?" if near else ""
    raise ValueError(f"`{name}` must be one of {', '.join(names)}, but is {value!r}{hint}")
