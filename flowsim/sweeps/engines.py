"""Who computes the chunks of a sweep: this process, several processes of this machine, or a Dask cluster.

All of them do the same work, `work`: compute a chunk, write it, mark it; what travels is the store's path and a number. Their method
``run`` gives the numbers of the chunks as they are finished, in any order; RuntimeError or OSError where it cannot go on.
"""

import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from typing import Any

from flowsim import arguments
from flowsim.dynamics.trajectory import versions
from flowsim.sweeps.chunk import run_chunk
from flowsim.sweeps.store import Store

MOST_LOSSES = 3
"""Workers that may die over one chunk before it is given up."""
AHEAD = 2
"""Chunks handed out for each that can be computed at once."""
PATIENCE = 30.0
"""Seconds to wait for a scheduler to answer."""
SHARED = "it must be on a disk that all workers share"
SMALLER = "out of memory? Take smaller chunks"
UNDER_MAIN = 'or does a script ask for workers outside `if __name__ == "__main__":`?'
GONE = "the scheduler is gone; what its workers finished is in the store: resume the sweep"


def work(path: str, identity: str, number: int) -> int:
    """Compute a chunk, write it, and mark it as finished, unless it is; returns its number."""
    store = _opened(path, identity)
    if not store.journal.holds(number):
        outcome = run_chunk(store.sweep, number)
        with _deferred():
            store.write(number, *outcome)
    return number


@contextmanager
def _deferred() -> Iterator[None]:
    """Ctrl-C is heard at the end of this: what is half written helps nobody, and takes no time to finish."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt


@lru_cache(maxsize=4)
def _opened(path: str, identity: str) -> Store:
    store = Store(path)
    if store.identity != identity:
        raise RuntimeError(f"the store at {path!r} is not the one that the sweep began to write: {SHARED}")
    return store


class NotBegun(RuntimeError):
    """No chunk could be handed out."""


class Here:
    """This process."""

    def run(self, store: Store, numbers: Sequence[int]) -> Generator[int, None, None]:
        for number in numbers:
            yield work(str(store.path), store.identity, number)


class Processes:
    """So many processes of this machine. One that dies is replaced, and what was under way is computed again."""

    def __init__(self, count: int) -> None:
        self.count = int(arguments.whole("workers", count, low=1))

    def run(self, store: Store, numbers: Sequence[int]) -> Generator[int, None, None]:
        import multiprocessing

        waiting, flying, losses = deque(numbers), dict[Future[int], int](), Counter[int]()
        while waiting:
            # spawned: JAX's threads do not survive a fork
            before = set(multiprocessing.active_children())
            pool = ProcessPoolExecutor(self.count, multiprocessing.get_context("spawn"), _deaf)
            try:
                yield from _hand_out(store, waiting, flying, partial(pool.submit, _work_heard), lambda: AHEAD * self.count)
            except BrokenProcessPool:
                losses.update(flying.values())
                worst, times = losses.most_common(1)[0]
                if times > MOST_LOSSES:
                    raise RuntimeError(f"{times} processes died while chunk {worst} was under way: {SMALLER}; {UNDER_MAIN}") from None
                waiting.extendleft(flying.values())
                flying.clear()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                _interrupt(set(multiprocessing.active_children()) - before)
                raise
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def _hand_out(
    store: Store, waiting: deque[int], flying: dict[Future[int], int], submit: Callable[..., Future[int]], room: Callable[[], int]
) -> Generator[int, None, None]:
    """The numbers ``waiting``, so many at a time as there is ``room`` for, each until it is finished."""
    while waiting or flying:
        most = room()
        while waiting and len(flying) < most:
            number = waiting.popleft()
            flying[submit(str(store.path.resolve()), store.identity, number)] = number
        for future in wait(flying, timeout=1.0, return_when=FIRST_COMPLETED).done:
            number = future.result()
            del flying[future]
            yield number


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


def _interrupt(processes: Iterable[Any]) -> None:
    """Ctrl-C for those that work, until they have all heard it."""
    for process in processes:
        process.join(0.2)
        while process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGINT)
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

    def run(self, store: Store, numbers: Sequence[int]) -> Generator[int, None, None]:
        from distributed import Client, KilledWorker

        try:
            client = Client(self.address, timeout=PATIENCE, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise NotBegun(f"no scheduler answers at {self.address} ({type(error).__name__}: {error})") from error
        flying: dict[Future[int], int] = {}
        with _quiet():
            try:
                _check_workers(client, store)
                executor = client.get_executor(pure=False)
                yield from _hand_out(store, deque(numbers), flying, partial(executor.submit, work), partial(_room, client))
            except KilledWorker as error:
                raise RuntimeError(f"workers died over a chunk, again and again: {SMALLER} ({error})") from error
            except Exception as error:
                # whichever of its parts missed it first
                if _gone(client) or isinstance(error, CancelledError):
                    raise RuntimeError(GONE) from error
                raise
            finally:
                for future in flying:
                    future.cancel()
                client.close(timeout=2.0)


Engine = Here | Processes | Cluster


def _room(client: Any) -> int:
    """Chunks that may be handed out at once. RuntimeError where the scheduler is gone."""
    if _gone(client):
        raise RuntimeError(GONE)
    try:
        return AHEAD * max(sum(client.nthreads().values()), 1)
    except (OSError, TimeoutError) as error:
        raise RuntimeError(GONE) from error


def _gone(client: Any) -> bool:
    return client.status != "running" or client.scheduler_comm is None or client.scheduler_comm.comm.closed()


@contextmanager
def _quiet() -> Iterator[None]:
    """A scheduler that is gone is told of once, by what is raised, not by every part that misses it."""
    import logging

    names = ("distributed", "tornado", "asyncio", *logging.root.manager.loggerDict)
    ours = [logging.getLogger(name) for name in dict.fromkeys(names) if name.split(".")[0] in names[:3]]
    levels = [logger.level for logger in ours]
    for logger in ours:
        logger.setLevel(logging.CRITICAL)
    yield
    # after a loss its parts go on missing it for a while
    for logger, level in zip(ours, levels, strict=True):
        logger.setLevel(level)


def _check_workers(client: Any, store: Store) -> None:
    """`NotBegun` unless each worker has these versions and sees this store."""
    path, here = str(store.path.resolve()), versions()
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise NotBegun(f"the cluster at {client.scheduler.address} has no workers") from None
    for worker, (there, seen) in client.run(_seen, path).items():
        if there != here:
            differ = ", ".join(f"{name} {there.get(name)} (here {here[name]})" for name in here if there.get(name) != here[name])
            raise NotBegun(f"the worker {worker} has other versions: {differ}")
        if seen != store.identity:
            raise NotBegun(f"the worker {worker} does not see the store at {path!r}: {SHARED}")


def _seen(path: str) -> tuple[dict[str, str], str]:
    """On a worker: its versions, and the identity of the store that it sees."""
    try:
        return versions(), Store(path).identity
    except (OSError, ValueError):
        return versions(), ""
