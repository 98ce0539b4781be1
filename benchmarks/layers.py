"""Descent of matrices at d = width = 256, N = 3: a step beside the machine's own rate of its products, and beside PyTorch."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from statistics import median
from time import perf_counter
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy.linalg import blas

import flowsim as fs
from benchmarks.timing import Row, seconds, show
from flowsim.layers.descent import _engine
from flowsim.layers.population import prepare

WIDTH, DEPTH, ETA, STEPS, ROUNDS = 256, 3, 0.01, 2000, 9
FORWARD, BACKWARD, UPDATES = 2, 3, 2
"""Products of a step with its two matrices, Q and W_2: Q q and W_2 f;  s_2 W_2, u_2 W_2 and e Q;  Q - (.) a q^T and W_2 + (.) s_2 f^T."""


def problem() -> tuple[fs.PopulationRisk, fs.Layers]:
    return fs.PopulationRisk(fs.Gaussian(dim=WIDTH)), fs.layers.gaussian(dim=WIDTH, depth=DEPTH, width=WIDTH, seeds=0)


def torch_or_none() -> ModuleType | None:
    return importlib.import_module("torch") if importlib.util.find_spec("torch") else None


@contextmanager
def fast_threads(torch: ModuleType, call: Callable[[], Any]) -> Iterator[int]:
    """PyTorch with one thread or with its own number, whichever makes ``call`` faster."""
    own, times = torch.get_num_threads(), {}
    for count in {1, own}:
        torch.set_num_threads(count)
        times[count] = seconds(call, 5)[1]
    torch.set_num_threads(min(times, key=lambda count: times[count]))
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(own)


def in_rounds(calls: Mapping[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Seconds of each call, one after the other in every round, so that what else the machine does slows all alike. One round warms."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for round_ in range(rounds + 1):
        for name, call in calls.items():
            begin = perf_counter()
            call()
            if round_:
                times[name].append(perf_counter() - begin)
    return times


def spread(times: list[float], per: float = 1.0) -> str:
    """As `show`."""
    return show((min(times), median(times), max(times)), per)


def ratio(over: list[float], under: list[float]) -> str:
    """The median of the rounds' ratios, and their least and largest."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return f"{median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g})"


def _loop(one: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """STEPS/2 times, on the device: each time does every product once with each of the two matrices."""
    return jax.jit(lambda first: lax.fori_loop(0, STEPS // 2, lambda _, now: one(now), first))


def _products() -> dict[str, Callable[[], Any]]:
    """STEPS products of each kind, half with each of two matrices as in a step: in an XLA loop, and in BLAS."""
    generator = np.random.default_rng(0)
    a, b = (generator.normal(size=(WIDTH, WIDTH)) / WIDTH for _ in range(2))
    x = generator.normal(size=WIDTH)
    device: dict[str, Callable[[Any], Any]] = {
        "forward": lambda s: (s[0], s[1], s[1] @ (s[0] @ s[2])),
        "backward": lambda s: (s[0], s[1], (s[2] @ s[0]) @ s[1]),
        "update": lambda s: (s[0] + 1e-9 * jnp.outer(s[2], s[2]), s[1] - 1e-9 * jnp.outer(s[2], s[2]), s[2]),
        # what a step does with its matrices, in its order, and nothing else
        "all": lambda s: _alike(*s),
    }

    def in_xla(name: str) -> Callable[[], Any]:
        loop = _loop(device[name])

        def run() -> None:
            with jax.enable_x64(True):
                jax.block_until_ready(loop(tuple(jnp.asarray(part) for part in (a, b, x))))

        return run

    out, kept = np.empty(WIDTH), tuple(np.asfortranarray(matrix) for matrix in (a, b))

    def in_blas(name: str) -> Callable[[], Any]:
        if name == "update":
            once = lambda i: blas.dger(1e-9, x, x, a=kept[i], overwrite_a=1)  # noqa: E731
        else:
            views = (a, b) if name == "forward" else (a.T, b.T)
            once = lambda i: np.dot(views[i], x, out=out)  # noqa: E731
        return lambda: [once(k % 2) for k in range(STEPS)]

    return {f"{name}, XLA": in_xla(name) for name in device} | {f"{name}, BLAS": in_blas(name) for name in device if name != "all"}


def _alike(q_matrix: Any, w_matrix: Any, x: Any) -> tuple[Any, Any, Any]:
    row = x @ w_matrix
    column = q_matrix @ x
    up = w_matrix @ column
    fed = (up @ w_matrix + row) @ q_matrix
    # as in a step, the updates wait for the last product
    small = 1e-9 + 0.0 * fed[0]
    return q_matrix - jnp.outer(small * row, x), w_matrix + jnp.outer(small * x, column), x + 1e-9 * fed


def _ours(risk: fs.PopulationRisk, start: fs.Layers) -> Callable[[], Any]:
    engine = _engine(prepare(risk, start, None, ()), ETA, np.array([0, STEPS]))
    state = engine.begin()
    return lambda: engine.advance(state, 1)


def _by_hand(torch: ModuleType, risk: fs.PopulationRisk, start: fs.Layers) -> Callable[[int], Any]:
    """In PyTorch, in place, the chain rule written out; without the part across v that keeps the direction."""
    first, second, third = (torch.tensor(matrix, dtype=torch.float64) for matrix in start.matrices)

    def run(steps: int) -> Any:
        with torch.no_grad():
            for _ in range(steps):
                a = torch.mv(second.t(), third[0])
                slope = torch.mv(first.t(), a)
                slope *= float(risk.profile.drag_ratio(float(slope.norm())))
                slope[0] -= risk.pull
                f = torch.mv(first, slope)
                u = torch.mv(second, f)
                first.addr_(a, slope, alpha=-ETA)
                second.addr_(third[0], f, alpha=-ETA)
                third[0].add_(u, alpha=-ETA)
        return third @ second @ first

    return run


def _by_autograd(torch: ModuleType, risk: fs.PopulationRisk, start: fs.Layers) -> Callable[[int], Any]:
    """In PyTorch, backward() of <w, grad L> with grad L held, and its optimiser."""
    matrices = [torch.tensor(matrix, dtype=torch.float64, requires_grad=True) for matrix in start.matrices]
    optimiser = torch.optim.SGD(matrices, lr=ETA)

    def run(steps: int) -> Any:
        for _ in range(steps):
            w = (matrices[2] @ matrices[1] @ matrices[0])[0]
            slope = w.detach() * float(risk.profile.drag_ratio(float(w.detach().norm())))
            slope[0] -= risk.pull
            optimiser.zero_grad()
            (w @ slope).backward()
            optimiser.step()
        return (matrices[2] @ matrices[1] @ matrices[0]).detach()

    return run


def _descent_rows() -> list[Row]:
    risk, start = problem()
    few = STEPS // 10
    calls, torch = {"ours": _ours(risk, start), **_products()}, torch_or_none()
    if torch is None:
        return [*_limit_rows(in_rounds(calls)), _matrix_product_row(), Row("the same descent in PyTorch", "not installed")]
    makers = {"PyTorch by hand": _by_hand, "PyTorch autograd": _by_autograd}
    check = fs.layer_descent(risk, start, ETA, [few], observe=()).last.end_to_end
    gaps = {name: float(np.abs(make(torch, risk, start)(few).numpy()[0] - check).max()) for name, make in makers.items()}
    calls |= {name: partial(make(torch, risk, start), few) for name, make in makers.items()}
    with fast_threads(torch, calls["PyTorch by hand"]) as threads:
        times = in_rounds(calls)
    out = [*_limit_rows(times), _matrix_product_row()]
    for name, gap in gaps.items():
        each = [t / few * STEPS for t in times[name]]
        beside = f"{ratio(each, times['ours'])} times as long; w after {few} steps differs by {gap:.0e}"
        out.append(Row(f"the same descent, {name}, float64, threads: {threads}, a step", spread(each, STEPS), beside))
    return out


def _limit_rows(times: Mapping[str, list[float]]) -> list[Row]:
    """Our step, and what the machine takes for its products."""
    best = {kind: min((times[f"{kind}, {by}"] for by in ("XLA", "BLAS")), key=median) for kind in ("forward", "backward", "update")}
    counts = {"forward": FORWARD, "backward": BACKWARD, "update": UPDATES}
    least, middle, largest = (sum(counts[kind] * of(t) for kind, t in best.items()) for of in (min, median, max))
    out = [
        Row(f"descent of matrices, d = width = {WIDTH}, N = {DEPTH}, a step", spread(times["ours"], STEPS)),
        Row(
            "products of such a step one by one: 2 with columns, 3 with rows, 2 updates, faster of XLA and BLAS each",
            show((least, middle, largest), STEPS),
            f"{middle / median(times['ours']):.2f} of the step's time by medians, {least / min(times['ours']):.2f} by least times",
        ),
        Row(
            "the same products in their order, a loop of these alone in XLA",
            spread([2.0 * t for t in times["all, XLA"]], STEPS),
            f"{ratio([2.0 * t for t in times['all, XLA']], times['ours'])} of the step's time",
        ),
    ]
    for kind in best:
        both = {by: times[f"{kind}, {by}"] for by in ("XLA", "BLAS")}
        size = 8 * WIDTH**2 * (2 if kind == "update" else 1)
        rates = ", ".join(f"{by} {size * STEPS / median(t) / 1e9:.3g} GB/s" for by, t in both.items())
        out.append(Row(f"one such product, {kind}, XLA", spread(both["XLA"], STEPS), rates))
    return out


def _matrix_product_row() -> Row:
    """For context: products of two matrices, which no step here has."""
    size = 1024
    a = np.random.default_rng(0).normal(size=(size, size))
    with jax.enable_x64(True):
        device, product = jnp.asarray(a), jax.jit(lambda x: x @ x)
        times = in_rounds({"XLA": lambda: product(device).block_until_ready(), "BLAS": lambda: a @ a}, 7)
    rates = (f"{name} {2.0 * size**3 / median(t) / 1e9:.3g}" for name, t in times.items())
    return Row(f"product of two {size} x {size} matrices, GFLOP/s", ", ".join(rates))


def rows() -> list[Row]:
    return _descent_rows()
