"""How a sweep is cut: boxes of the grid of runs, each computed as one batch and written as one region."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np


@dataclass(frozen=True)
class ChunkGrid:
    """Boxes of ``shape`` that cover a grid of ``sizes``, numbered from 0, the last dimension fastest; those at the ends may be smaller."""

    sizes: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Boxes along each dimension."""
        return tuple(-(-size // side) for size, side in zip(self.sizes, self.shape, strict=True))

    @property
    def count(self) -> int:
        """Of all boxes."""
        return prod(self.counts)

    def place(self, number: int) -> tuple[int, ...]:
        """Where in the grid of boxes a box lies."""
        return tuple(int(i) for i in np.unravel_index(number, self.counts))

    def box(self, number: int) -> tuple[slice, ...]:
        """The part of the grid of runs that a box is."""
        return tuple(
            slice(i * side, min((i + 1) * side, size)) for i, side, size in zip(self.place(number), self.shape, self.sizes, strict=True)
        )

    def elements(self, number: int) -> int:
        """Runs in a box."""
        return prod(part.stop - part.start for part in self.box(number))


def chunk_shape(sizes: Mapping[str, int], ranks: Mapping[str, int], most: int) -> tuple[int, ...]:
    """The sides of boxes of at most so many runs.

    sizes: of the dimensions.  ranks: of how much what a run costs differs along them: a batch waits for its slowest run, so boxes extend
    along low ranks first. Along the dimension that is cut they are of nearly equal length.
    """
    left, sides = most, dict.fromkeys(sizes, 1)
    for dim in sorted(sizes, key=lambda name: ranks[name]):
        pieces = -(-sizes[dim] // max(min(sizes[dim], left), 1))
        sides[dim] = -(-sizes[dim] // pieces)
        left //= sides[dim]
        if left <= 1:
            break
    return tuple(sides.values())
