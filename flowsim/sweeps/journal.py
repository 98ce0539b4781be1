"""Which chunks are finished: a small file for each, which appears whole, after the chunk's data is on the disk.

Chunk 123456 is ``123/123456``: a thousand names a folder. It holds why runs of the chunk could not be run, and nothing where all could.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

A_FOLDER = 1000


class Journal:
    """The folder of these files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mark(self, number: int, reasons: Mapping[str, int] | None = None) -> None:
        """A chunk is finished from here on, whatever may happen. reasons: of runs that could not be run, with how many of them."""
        final = self._of(number)
        final.parent.mkdir(exist_ok=True)
        part = final.with_name(f"{final.name}.{os.getpid()}.part")
        part.write_text(json.dumps(dict(reasons)) if reasons else "", encoding="utf-8")
        flush(part)
        part.replace(final)
        flush(final.parent)

    def holds(self, number: int) -> bool:
        """Whether a chunk is finished."""
        return self._of(number).exists()

    def finished(self) -> set[int]:
        """The chunks that are."""
        return {int(name) for folder in self._folders() for name in os.listdir(folder) if name.isdigit()}

    def reasons(self) -> dict[str, int]:
        """Why runs could not be run, and how many of them."""
        out: Counter[str] = Counter()
        for folder in self._folders():
            for entry in os.scandir(folder):
                if entry.name.isdigit() and entry.stat().st_size:
                    out.update(json.loads(Path(entry.path).read_text(encoding="utf-8")))
        return dict(out)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else runs this sweep meanwhile, where the file system can tell. ValueError where somebody does."""
        try:
            import fcntl
        except ImportError:
            yield
            return
        with open(self.folder / "lock", "wb") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"another process is running the sweep in {str(self.folder.parent)!r}") from None
            except OSError:
                # a file system without locks
                pass
            yield

    def _of(self, number: int) -> Path:
        return self.folder / f"{number // A_FOLDER:03d}" / str(number)

    def _folders(self) -> list[Path]:
        return [self.folder / name for name in os.listdir(self.folder) if name.isdigit()]


def flush(path: Path) -> None:
    """A file or a folder to the disk; nothing where there is none."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
