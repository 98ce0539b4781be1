"""Progress on standard error, for work that takes more than two seconds."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any

PATIENCE = 2.0

_silent: ContextVar[bool] = ContextVar("silent", default=False)


@contextmanager
def silent() -> Iterator[None]:
    """No bars in here: of work that is a part of work with a bar of its own."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


class Progress:
    """A bar of ``total`` units that appears only once the work has taken ``PATIENCE`` seconds rarely where stderr is not a terminal."""

    def __init__(self, label: str, total: float, unit: str = "it", done: float = 0.0, rate: bool = False) -> None:
        """done: of the units, before.  rate: whether units a second are shown too."""
        self._label, self._total, self._unit, self._done, self._rate = label, total, unit, done, rate
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        from tqdm import tqdm

        self._bar = tqdm(
            total=self._total,
            initial=self._done,
            disable=_silent.get(),
            desc=self._label,
            unit=self._unit,
            delay=PATIENCE,
            mininterval=0.2 if sys.stderr.isatty() else 10.0,
            bar_format="{desc}: {percentage:3.0f}%|{bar:30}| "
            + (
                "{n:.0f}/{total:.0f} {unit} [{elapsed}<{remaining}, {rate_fmt}]"
                if self._rate
                else "{n:.4g}/{total:.4g} {unit} [{elapsed}<{remaining}]"
            ),
            file=sys.stderr,
            leave=False,
        )
        return self

    def advance(self, amount: float) -> None:
        # parts may add up to a rounding more than the whole, of which tqdm would warn
        self._bar.update(min(amount, self._bar.total - self._bar.n))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.close()
