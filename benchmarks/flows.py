"""Flows: one to t = 1e12, a batch of 10,000, compilations, and Cartesian solvers with the directions they report."""

import logging
from time import perf_counter

import jax
import numpy as np
from scipy.integrate import quad, solve_ivp

import flowsim as fs
from benchmarks.timing import Row, seconds, show

START = (1.0, 1.5)


def _growth_by_quadrature(r: float) -> float:
    """h(r) of the Gaussian law by scipy.integrate.quad, split where the sigmoid bends."""
    density = lambda x: np.sqrt(2.0 / np.pi) * x * np.exp(-0.5 * x * x) / (1.0 + np.exp(min(r * x, 700.0)))  # noqa: E731
    bend = min(40.0 / max(r, 1e-9), 40.0)
    return quad(density, 0.0, bend, epsabs=0.0, epsrel=1e-12)[0] + quad(density, bend, 40.0, epsabs=1e-300, epsrel=1e-10)[0]


def cartesian(method: str, last: float = 1e6) -> tuple[float, float, bool]:
    """s at t = last of the one-layer flow as a user would first write it, the seconds it took, and what the solver says of success."""
    pull = 1.0 / np.sqrt(2.0 * np.pi)

    def rate(_: float, w: np.ndarray) -> np.ndarray:
        r = float(np.hypot(*w))
        return np.array([pull, 0.0]) - (pull - _growth_by_quadrature(r)) * w / r

    norm, angle = START
    begin = perf_counter()
    run = solve_ivp(rate, (0.0, last), norm * np.array([np.cos(angle), np.sin(angle)]), method=method, rtol=1e-10, atol=1e-30)
    parallel, perp = run.y[:, -1]
    with np.errstate(divide="ignore"):
        s = float(np.log(abs(perp) / (np.hypot(parallel, perp) + parallel)))
    return s, perf_counter() - begin, bool(run.success)


class _Compilations(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += "Compiling" in record.getMessage()


def compilations(calls: list) -> list[int]:
    """How many programs JAX compiles in each call, from its own log."""
    handler, logger = _Compilations(), logging.getLogger("jax")
    counts = []
    with jax.log_compiles(True):
        logger.addHandler(handler)
        logger.propagate = False
        for call in calls:
            before = handler.count
            call()
            counts.append(handler.count - before)
        logger.removeHandler(handler)
        logger.propagate = True
    return counts


def rows() -> list[Row]:
    risk, start = fs.PopulationRisk(fs.Gaussian(2)), fs.Start(*START)
    other = fs.PopulationRisk(fs.Sphere(3))
    times = fs.log_times(1e-2, 1e12, 200)
    begin = perf_counter()
    (compiled,) = compilations([lambda: fs.gradient_flow(risk, start, times)])
    first = perf_counter() - begin
    counts = compilations(
        [
            lambda: fs.gradient_flow(other, start, times),
            lambda: fs.gradient_flow(risk, fs.Start(0.1, 3.0), times, depth=7),
            lambda: fs.gradient_flow(risk, start, times, rtol=1e-8),
            lambda: fs.gradient_flow(risk, start, times[:180]),
        ]
    )
    out = [
        Row("first flow in a process, with compilation", f"{first:.2f} s", f"{compiled} programs compiled"),
        Row("programs compiled for another law, depth and start, tolerance, number of times", ", ".join(map(str, counts))),
    ]
    for depth in (1, 2, 3, 5):
        out.append(
            Row(
                f"one flow to t = 1e12, N = {depth}, rtol 1e-10, 200 times, warm",
                show(seconds(lambda depth=depth: fs.gradient_flow(risk, start, times, depth), 25)),
            )
        )
    truth = float(fs.gradient_flow(risk, start, [1e6], rtol=1e-12).log_tan_half_angle[0])
    ours = seconds(lambda: fs.gradient_flow(risk, start, [1e6]), 25)
    found = float(fs.gradient_flow(risk, start, [1e6]).log_tan_half_angle[0])
    out.append(Row("one flow to t = 1e6, N = 1: s(1e6)", f"{found:.6f}, {show(ours)}", f"truth {truth:.6f}"))
    for method in ("LSODA", "Radau"):
        s, elapsed, success = cartesian(method)
        out.append(
            Row(
                f"the same in Cartesian coordinates, SciPy {method}, rtol 1e-10, atol 1e-30, quad",
                f"s = {s:.2f}, success = {success}, {elapsed:.2f} s",
                f"{elapsed / ours[1]:.0f} times slower, direction wrong by {abs(s - truth):.0f} of {abs(truth):.0f}",
            )
        )
    generator = np.random.default_rng(0)
    size = 10_000
    laws = [fs.PopulationRisk(law) for law in (fs.Gaussian(2), fs.Sphere(2), fs.Sphere(3), fs.StudentT(2, 3.0), fs.Laplace(2), fs.Ball(4))]
    risks = np.empty(size, dtype=object)
    risks[:] = [laws[i] for i in generator.integers(0, len(laws), size)]
    starts = fs.Start(np.exp(generator.uniform(-2, 2, size)), generator.uniform(0.05, 3.1, size))
    depths = generator.integers(1, 6, size)
    batch = lambda: fs.gradient_flow(risks, starts, [1.0, 1e3, 1e6, 1e12], depths)  # noqa: E731
    out.append(Row("10,000 flows to t = 1e12 in one batch: six laws, N = 1-5, random starts", show(seconds(batch, 5))))
    return out
