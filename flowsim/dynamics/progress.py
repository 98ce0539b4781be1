"""Progress on standard error, for work that takes more than two seconds."""

import sys
from types import TracebackType
from typing import Any

PATIENCE = 2.0


class Progress:
    """A bar of ``total`` units that appears only once the work has taken ``PATIENCE`` seconds rarely where stderr is not a terminal."""

    def __init__(self, label: str, total: float, unit: str = "it") -> None:
        self._label, self._total, self._unit = label, total, unit
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        from tqdm import tqdm

        self._bar = tqdm(
            total=self._total,
            desc=self._label,
            unit=self._unit,
            delay=PATIENCE,
            mininterval=0.2 if sys.stderr.isatty() else 10.0,
            bar_format="{desc}: {percentage:3.0f}%|{bar:30}| {n:.4g}/{total:.4g} {unit} [{elapsed}<{remaining}]",
            file=sys.stderr,
            leave=False,
        )
        return self

    def advance(self, amount: float) -> None:
        # parts may add up to a rounding more than the whole, of which tqdm would warn
        self._bar.update(min(amount, self._bar.total - self._bar.n))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.close()
