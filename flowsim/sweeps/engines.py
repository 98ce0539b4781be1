"""Who computes the chunks of a sweep: this process, several processes of this machine, or a Dask cluster.

All of them do the same work, `work`: compute a chunk, write it, mark it; what travels is the store's path and a number.
"""

import os
import signal
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from flowsim import arguments
from flowsim.sweeps.chunk import run_chunk
from flowsim.sweeps.store import Store

MOST_LOSSES = 3
"""Workers that may die over one chunk before it is given up."""
AHEAD = 2
"""Chunks handed out for each that can be computed at once."""
PATIENCE = 30.0
"""Seconds to wait for a scheduler to answer."""


class Engine(Protocol):
    """Computes chunks, and gives the number of each as it is finished, in any order."""

    def run(self, store: Store, numbers: Sequence[int]) -> Iterator[int]:
        """RuntimeError or OSError where it cannot go on."""
        ...


def work(path: str, identity: str, number: int) -> int:
    """Compute a chunk, write it, and mark it as finished, unless it is; returns its number."""
    store = _opened(path, identity)
    if not store.holds(number):
        store.write(number, run_chunk(store.sweep, number))
    return number


@lru_cache(maxsize=4)
def _opened(path: str, identity: str) -> Store:
    store = Store(path)
    if store.identity != identity:
        raise RuntimeError(f"the store at {path!r} is not the one that the sweep began to write: it must be on a disk that all workers share")
    return store


class Here:
    """This process."""

    def run(self, store: Store, numbers: Sequence[int]) -> Iterator[int]:
        for number in numbers:
            yield work(str(store.path), store.identity, number)


class Processes:
    """So many processes of this machine. One that dies is replaced, and what was under way is computed again."""

    def __init__(self, count: int) -> None:
        self.count = int(arguments.whole("workers", count, low=1))

    def run(self, store: Store, numbers: Sequence[int]) -> Iterator[int]:
        import multiprocessing

        waiting, losses = deque(numbers), Counter[int]()
        while waiting:
            # spawned: JAX's threads do not survive a fork
            pool = ProcessPoolExecutor(self.count, multiprocessing.get_context("spawn"), _deaf)
            flying: dict[Any, int] = {}
            try:
                while waiting or flying:
                    while waiting and len(flying) < AHEAD * self.count:
                        number = waiting.popleft()
                        flying[pool.submit(_work_heard, os.fspath(store.path), store.identity, number)] = number
                    for future in wait(flying, return_when=FIRST_COMPLETED).done:
                        yield future.result()
                        del flying[future]
            except BrokenProcessPool:
                losses.update(flying.values())
                worst, times = losses.most_common(1)[0]
                if times > MOST_LOSSES:
                    raise RuntimeError(f"{times} processes died while chunk {worst} was under way: out of memory? Take smaller chunks") from None
                waiting.extendleft(flying.values())
            except BaseException:
                _interrupt(pool)
                raise
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def _deaf() -> None:
    """A process that waits for work leaves Ctrl-C to the one that hands it out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work_heard(path: str, identity: str, number: int) -> int:
    """One that works hears it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return work(path, identity, number)
    finally:
        _deaf()


def _interrupt(pool: ProcessPoolExecutor) -> None:
    """Ctrl-C for those that work, until they have all heard it."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.join(0.2)
        while process.is_alive():
            os.kill(process.pid or 0, signal.SIGINT)
            process.join(0.2)


class Cluster:
    """A Dask cluster by the address of its scheduler. The store must be on a disk that its workers share."""

    def __init__(self, address: str) -> None:
        if not isinstance(address, str) or "://" not in address:
            raise ValueError(f"`scheduler` must be an address such as tcp://host:8786, but is {address!r}")
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise ValueError("`scheduler` needs Dask's distributed: install flowsim[cluster]") from error
        self.address = address

    def run(self, store: Store, numbers: Sequence[int]) -> Iterator[int]:
        from distributed import Client

        path = str(Path(store.path).resolve())
        try:
            client = Client(self.address, timeout=PATIENCE, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise RuntimeError(f"no scheduler answers at {self.address} ({type(error).__name__}: {error})") from error
        try:
            _check_workers(client, path, store.identity)
            yield from _hand_out(client, path, store.identity, numbers)
        finally:
            _close(client)


def _hand_out(client: Any, path: str, identity: str, numbers: Sequence[int]) -> Iterator[int]:
    from distributed import KilledWorker, wait

    waiting, flying = deque(numbers), {}
    while waiting or flying:
        room = AHEAD * max(sum(client.nthreads().values()), 1) if _answers(client) else 0
        if not room:
            raise RuntimeError("the scheduler is gone; what its workers finished is in the store: resume the sweep")
        while waiting and len(flying) < room:
            number = waiting.popleft()
            key = f"flowsim-chunk-{identity}-{number}"
            flying[client.submit(work, path, identity, number, key=key, pure=False)] = number
        try:
            done = wait(list(flying), timeout=1.0, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            continue
        except Exception as error:
            raise RuntimeError(f"the cluster lost chunks ({type(error).__name__}: {error}): resume the sweep") from error
        for future in done:
            number = flying.pop(future)
            if future.status == "cancelled" or future.status == "lost":
                raise RuntimeError("the scheduler lost chunks that it had; what its workers finished is in the store: resume the sweep")
            try:
                yield future.result(timeout=PATIENCE)
            except KilledWorker as error:
                raise RuntimeError(f"workers died while chunk {number} was under way: out of memory? Take smaller chunks") from error


def _answers(client: Any) -> bool:
    return client.status == "running" and client.scheduler is not None and not client.scheduler_comm.comm.closed()


def _close(client: Any) -> None:
    """Without what an engine that was left in the middle still had under way; whatever has become of the scheduler."""
    import logging

    # a scheduler that is gone was told of already
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    client.close(timeout=2.0)


def _check_workers(client: Any, path: str, identity: str) -> None:
    """RuntimeError unless each worker has this version and sees this store."""
    import flowsim

    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise RuntimeError(f"the cluster at {client.scheduler.address} has no workers") from None
    for worker, (version, seen) in client.run(_seen, path).items():
        if version != flowsim.__version__:
            raise RuntimeError(f"the worker {worker} has flowsim {version}, not {flowsim.__version__}")
        if seen != identity:
            raise RuntimeError(f"the worker {worker} does not see the store at {path!r}: it must be on a disk that all workers share")


def _seen(path: str) -> tuple[str, str]:
    """On a worker: its version, and the identity of the store that it sees."""
    import flowsim

    try:
        return flowsim.__version__, Store(path).identity
    except (OSError, ValueError):
        return flowsim.__version__, ""
