"""Flow of matrices: the network of benchmarks.layers to t = 1e4, beside flows of the plain matrices; 64 small networks to t = 1e8."""

import importlib.util
from collections.abc import Callable
from functools import partial
from time import perf_counter
from types import ModuleType
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

import flowsim as fs
from benchmarks.layers import problem, torch_or_none
from benchmarks.timing import Row, seconds, show
from flowsim.dynamics.network import force
from flowsim.layers.field import law_of

LAST, SOONER, TOLERANCE = 1e4, 400.0, 1e-9


def _plain_rate(_: Any, matrices: tuple[Any, ...], args: Any) -> tuple[Any, ...]:
    """-grad of each plain matrix, by outer products, as a careful user would write it. args: h's table and numbers, of `field`."""
    first, second, third = matrices
    a = third[0] @ second
    w = a @ first
    size = jnp.sqrt(w @ w)
    slope = (force(args.tables, args.network, size).ratio * w).at[0].add(-args.network.pull)
    f = first @ slope
    return -jnp.outer(a, slope), -jnp.outer(third[0], f), -(second @ f)[None]


def _plain_diffrax(risk: fs.PopulationRisk, start: fs.Layers, last: float) -> np.ndarray:
    """w at t = last."""
    with jax.enable_x64(True):
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(_plain_rate),
            diffrax.Tsit5(),
            0.0,
            last,
            None,
            tuple(jnp.asarray(matrix) for matrix in start.matrices),
            args=law_of(risk),
            stepsize_controller=diffrax.PIDController(rtol=TOLERANCE, atol=0.1 * TOLERANCE),
            max_steps=None,
        )
        first, second, third = (np.asarray(matrix[-1]) for matrix in found.ys)
    return (third @ second @ first)[0]


def _torchdiffeq(torch: ModuleType, risk: fs.PopulationRisk, start: fs.Layers, last: float) -> np.ndarray:
    """w at t = last, by dopri5."""
    from torchdiffeq import odeint

    def rate(_: Any, matrices: tuple[Any, ...]) -> tuple[Any, ...]:
        first, second, third = matrices
        a = torch.mv(second.t(), third[0])
        slope = torch.mv(first.t(), a)
        slope *= float(risk.profile.drag_ratio(float(slope.norm())))
        slope[0] -= risk.pull
        f = torch.mv(first, slope)
        return torch.outer(a, -slope), torch.outer(third[0], -f), -torch.mv(second, f)[None]

    begin = tuple(torch.tensor(matrix, dtype=torch.float64) for matrix in start.matrices)
    times = torch.tensor([0.0, last], dtype=torch.float64)
    with torch.no_grad():
        found = odeint(rate, begin, times, method="dopri5", rtol=TOLERANCE, atol=0.1 * TOLERANCE)
    first, second, third = (matrix[-1].numpy() for matrix in found)
    return (third @ second @ first)[0]


def _polar(w: np.ndarray) -> tuple[float, float]:
    return float(np.linalg.norm(w)), float(np.arctan2(np.linalg.norm(w[1:]), w[0]))


def _flow_rows() -> list[Row]:
    risk, start = problem()
    times = [0.5 * SOONER, SOONER, LAST]
    run: Callable[..., fs.LayerRun] = partial(fs.layer_flow, risk, start, rtol=TOLERANCE, observe=())
    first = perf_counter()
    ours = run(times)
    first = perf_counter() - first
    warm = seconds(lambda: run([LAST]), 2, 0)
    out = [
        Row(f"flow of the same network to t = {LAST:g}, default, with compilation", f"{first:.3g} s"),
        Row("the same, warm", show(warm), f"{ours.status[()]}, |w| = {ours.norm[2]:.9g}, theta = {ours.angle[2]:.6g}"),
    ]
    # compiled by the default
    implicit = seconds(lambda: run([LAST], solver="kvaerno5"), 1, 0)[1]
    out.append(Row("the same, Kvaerno5 throughout, warm", f"{implicit:.3g} s", f"{implicit / warm[1]:.3g} times as long"))
    out += _other_flows(risk, start, run, ours, warm[1])
    entries = sum(matrix.size for matrix in start.matrices)
    out.append(Row("an implicit solver of diffrax as it comes, plain matrices", f"its Jacobian has {8e-9 * entries**2:.0f} GB"))
    return out


def _other_flows(risk: fs.PopulationRisk, start: fs.Layers, run: Callable[..., fs.LayerRun], ours: fs.LayerRun, warm: float) -> list[Row]:
    """What else takes the same flow: whole where it can, to SOONER and from its pace at the end of that to LAST where it is long."""
    out: list[Row] = []
    long: dict[str, Callable[[float], tuple[float, float]]] = {"Dopri8 throughout": lambda last: _of(run([last], solver="dopri8"))}
    torch = torch_or_none()
    if torch is None or importlib.util.find_spec("torchdiffeq") is None:
        out.append(Row("the same by torchdiffeq", "not installed"))
    else:

        def by_torch(last: float) -> tuple[float, float]:
            # its products are too small for threads of their own
            own = torch.get_num_threads()
            torch.set_num_threads(1)
            found = _polar(_torchdiffeq(torch, risk, start, last))
            torch.set_num_threads(own)
            return found

        long["torchdiffeq dopri5 in t, plain matrices"] = by_torch
    _plain_diffrax(risk, start, 1.0)
    begin = perf_counter()
    found = _polar(_plain_diffrax(risk, start, LAST))
    whole = perf_counter() - begin
    beside = f"{whole / warm:.3g} times as long; {_off(found, ours, 2)}"
    out.append(Row("the same, diffrax Tsit5 in t, plain matrices, warm", f"{whole:.3g} s", beside))
    for name, competitor in long.items():
        competitor(1.0)
        taken = []
        for last in (0.5 * SOONER, SOONER):
            begin = perf_counter()
            found = competitor(last)
            taken.append(perf_counter() - begin)
        # from there steps are of one length, or shorter
        whole = taken[1] + (LAST - SOONER) * (taken[1] - taken[0]) / (0.5 * SOONER)
        beside = f"at its last pace {whole:.3g} s to t = {LAST:g}, {whole / warm:.3g} times as long; {_off(found, ours, 1)}"
        out.append(Row(f"the same to t = {SOONER:g}, {name}, warm", f"{taken[1]:.3g} s", beside))
    return out


def _off(found: tuple[float, float], ours: fs.LayerRun, record: int) -> str:
    """How far |w| and theta are from ours at a record."""
    norm, angle = abs(found[0] / ours.norm[record] - 1.0), abs(found[1] / ours.angle[record] - 1.0)
    return f"at t = {ours.time[record]:g} off ours by {norm:.0e} in |w| and {angle:.0e} in theta"


def _of(run: fs.LayerRun) -> tuple[float, float]:
    return float(run.norm[-1]), float(run.angle[-1])


def _batch_rows() -> list[Row]:
    risk, out, size = fs.PopulationRisk(fs.Gaussian(dim=3)), [], 64
    for depth in (2, 3, 4):
        start = fs.layers.gaussian(dim=3, depth=depth, width=3, seeds=range(size))
        kept: list[fs.LayerRun] = []
        run = partial(fs.layer_flow, risk, start, [1e2, 1e4, 1e6, 1e8], observe=())
        together = seconds(lambda run=run, kept=kept: kept.append(run()), 5)
        statuses = ", ".join(f"{count} {name}" for name, count in zip(*np.unique(kept[-1].status, return_counts=True), strict=True))
        what = f"flow of {size} networks to t = 1e8, d = width = 3, N = {depth}, warm"
        out.append(Row(what, show(together), f"{statuses}; median theta {np.nanmedian(kept[-1].angle[:, -1]):.1e}"))
    return out


def rows() -> list[Row]:
    return [*_flow_rows(), *_batch_rows()]
