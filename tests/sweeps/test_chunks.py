"""How a sweep is cut into boxes."""

from math import prod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flowsim.sweeps.chunks import ChunkGrid, chunk_shape


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=3), st.integers(1, 300))
def test_boxes_cover_every_run_once_and_hold_no_more_than_they_may(dims: list[tuple[int, int]], most: int) -> None:
    sizes = {f"d{i}": size for i, (size, _) in enumerate(dims)}
    shape = chunk_shape(sizes, {f"d{i}": rank for i, (_, rank) in enumerate(dims)}, most)
    assert prod(shape) <= most
    grid = ChunkGrid(tuple(sizes.values()), shape)
    seen = np.zeros(grid.sizes, dtype=int)
    for number in range(grid.count):
        seen[grid.box(number)] += 1
        assert seen[grid.box(number)].size == grid.elements(number)
        # a region is one chunk of the arrays
        assert all(part.start == i * side for part, i, side in zip(grid.box(number), grid.place(number), shape, strict=True))
    assert (seen == 1).all()


def test_boxes_extend_first_along_what_costs_alike_and_are_cut_evenly() -> None:
    sizes, ranks = {"depth": 4, "seed": 10, "step_size": 100}, {"depth": 7, "seed": 0, "step_size": 4}
    assert chunk_shape(sizes, ranks, 4000) == (4, 10, 100)
    assert chunk_shape(sizes, ranks, 1000) == (1, 10, 100)
    # 100 in pieces of at most 60: 50 and 50, not 60 and 40
    assert chunk_shape(sizes, ranks, 600) == (1, 10, 50)
    assert chunk_shape(sizes, ranks, 7) == (1, 5, 1)


def test_a_chunk_may_be_a_single_run() -> None:
    assert chunk_shape({"a": 3, "b": 5}, {"a": 0, "b": 1}, 1) == (1, 1)
