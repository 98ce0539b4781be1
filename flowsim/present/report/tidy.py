"""The numbers behind a verdict, nested as they come, as small tables that can be read."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FOLD = 12
"""Tables with more rows than this are shown folded."""
FEW = 8
"""Lists of at most so many numbers stand in one cell."""
PAGE, COLUMN = 80, 11
"""Letters in all the columns of a table that fit on a page, and the fewest that each takes."""


@dataclass(frozen=True)
class Table:
    """Rows of texts. title: where in the numbers it comes from; head: names of the columns, the first of which names the rows."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def long(self) -> bool:
        """Whether a page should fold it."""
        return len(self.rows) > FOLD


def tables(numbers: Mapping[str, Any], title: str = "") -> list[Table]:
    """``numbers`` as tables: single values first, then lists of one length side by side, then each dictionary inside.

    >>> tables({"slope": 1.0, "sizes": [0.1, 0.2], "gaps": [1e-3, 2e-3]})[1].rows
    (('1', '0.1', '0.001'), ('2', '0.2', '0.002'))
    """
    single, lists, inner = [], {}, {}
    for key, value in numbers.items():
        value = _plain(value)
        if isinstance(value, dict) and value:
            inner[str(key)] = value
        elif isinstance(value, list) and any(map(_nested, value)):
            inner[str(key)] = {name: _counted(entry) for name, entry in _counted(value).items()}
        elif isinstance(value, list) and len(value) > 1:
            lists[str(key)] = [text(entry) for entry in value]
        else:
            lone = value[0] if isinstance(value, list) and value else value
            single.append((str(key), "none" if lone in ([], {}) else text(lone)))
    for length in sorted({len(entries) for entries in lists.values()}):
        if length <= FEW and sum(len(entries) == length for entries in lists.values()) == 1:
            key = next(key for key, entries in lists.items() if len(entries) == length)
            single.append((key, ", ".join(lists.pop(key))))
    out = [Table(title, ("quantity", "value"), tuple(single))] if single else []
    for length in sorted({len(entries) for entries in lists.values()}):
        out += _side_by_side({key: entries for key, entries in lists.items() if len(entries) == length}, length, title)
    return out + _inner_tables(inner, title)


def _side_by_side(lists: Mapping[str, Sequence[str]], length: int, title: str) -> list[Table]:
    """Lists of one length as the columns of a table, or as its rows where that is narrower; a table each where neither is narrow."""
    rows = tuple((str(i + 1), *(entries[i] for entries in lists.values())) for i in range(length))
    table = _narrow(Table(title, ("", *lists), rows))
    return [table] if table else [table for key, entries in lists.items() for table in _side_by_side({key: entries}, length, title)]


def _narrow(table: Table) -> Table | None:
    """``table``, or else its rows as columns, whichever is no wider than a page; None where neither is."""
    turned = Table(
        table.title, ("", *(row[0] for row in table.rows)), tuple(zip(table.head[1:], *(row[1:] for row in table.rows), strict=True))
    )
    for one in (table, turned):
        if len(one.head) == 2 or sum(max(len(name), COLUMN) for name in one.head[1:]) <= PAGE:
            return one
    return None


def _inner_tables(inner: Mapping[str, Any], title: str) -> list[Table]:
    """Dictionaries of the same keys and single values make one table, a row each; others a table each."""
    flat = {key: value for key, value in inner.items() if isinstance(value, dict) and not any(_nested(entry) for entry in value.values())}
    keys = [tuple(value) for value in flat.values()]
    out: list[Table] = []
    if len(flat) > 1 and len(set(keys)) == 1:
        table = _narrow(Table(title, ("", *keys[0]), tuple((key, *map(text, value.values())) for key, value in flat.items())))
        if table:
            out = [table]
            inner = {key: value for key, value in inner.items() if key not in flat}
    for key, value in inner.items():
        out += tables(_counted(value), f"{title}, {key}" if title else key)
    return out


def _counted(value: Any) -> Any:
    """A list as a dictionary from 1; anything else as it is."""
    return {str(i + 1): entry for i, entry in enumerate(value)} if isinstance(value, list) else value


def _nested(value: Any) -> bool:
    return isinstance(value, (dict, list)) and bool(value)


def text(value: Any) -> str:
    """One value in a cell: numbers to six digits.

    >>> text(0.30000000000000004), text(12345678), text(None)
    ('0.3', '12345678', 'none')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else str(value)
    return str(value)


def _plain(value: Any) -> Any:
    """Lists and Python's numbers for NumPy's, at any depth."""
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    return value
