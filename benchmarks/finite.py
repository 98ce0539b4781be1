"""Finite data, a homogeneous network: steps a second, and time to a loss of exp(-1e4), beside PyTorch loops as they are usually written."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from math import log
from statistics import median
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np

import flowsim as fs
from benchmarks.layers import fast_threads, in_rounds, ratio, spread, torch_or_none
from benchmarks.timing import Row
from flowsim.finite import TrainingSet, homogeneous_descent, homogeneous_flow, leaky_relu_network
from flowsim.finite.real import load_data

SLOPE, ROUNDS, STEPS, FEW = 0.1, 5, 10_000, 500
"""FEW: steps of PyTorch in one timing, which cost it the same each."""
GOAL, CONSTANT_STEPS = 1e4, 5000
FLOWS = {"as it comes": {}, "rtol = 1e-6, rounding = 1e-3": {"rtol": 1e-6, "rounding": 1e-3}}
REPEATS = 3
"""Of what takes seconds."""


def cases() -> Iterator[tuple[str, TrainingSet, Any, float, bool]]:
    """What, data, network, step size near the largest with which either descent gets anywhere, and whether it is followed to the end."""
    yield "n = 50, d = 20, width 20", fs.finite.mixture(50, 20, 2.0, seed=0), leaky_relu_network(20, [20], SLOPE), 0.3, True
    digits = load_data("digits")
    yield f"digits 3 and 8, n = {digits.size}, d = {digits.dim}, width 50", digits, leaky_relu_network(digits.dim, [50], SLOPE), 0.3, False


class InTorch:
    """Two layers, their loss, autograd and plain steps. loss: "exp", the mean of exp(-q), or "log", its logarithm by logsumexp.

    normalised: whether steps are divided by the loss, times its logarithm as ours are.
    """

    def __init__(self, torch: ModuleType, data: TrainingSet, start: Any, eta: float, loss: str, normalised: bool) -> None:
        self._torch, self._eta, self._normalised = torch, eta, normalised
        self._x, self._y = torch.tensor(data.x), torch.tensor(data.y)
        first, last = (torch.nn.Linear(w.shape[1], w.shape[0], bias=False, dtype=torch.float64) for w in start)
        with torch.no_grad():
            for layer, matrix in zip((first, last), start, strict=True):
                layer.weight.copy_(torch.tensor(matrix))
        self._model = torch.nn.Sequential(first, torch.nn.LeakyReLU(SLOPE), last)
        self._optimiser = torch.optim.SGD(self._model.parameters(), lr=eta)
        self._log, self._offset = loss == "log", log(data.size)

    def step(self) -> float:
        """log L before it; -inf or nan where the loss has left the doubles."""
        self._optimiser.zero_grad()
        q = self._y * self._model(self._x)[:, 0]
        if self._log:
            loss = self._torch.logsumexp(-q, 0) - self._offset
            log_loss = loss.item()
        else:
            loss = self._torch.exp(-q).mean()
            log_loss = log(loss.item()) if loss.item() > 0.0 else -np.inf
        loss.backward()
        if self._normalised:
            eased = max(1.0, -log_loss - self._offset) * (1.0 if self._log else loss.item())
            self._optimiser.param_groups[0]["lr"] = self._eta / eased if eased > 0.0 else np.inf
        self._optimiser.step()
        return log_loss

    def run(self, steps: int) -> np.ndarray:
        for _ in range(steps):
            self.step()
        return np.concatenate([p.detach().numpy().ravel() for p in self._model.parameters()])

    def to(self, goal: float) -> tuple[int, float, float]:
        """Steps, seconds and log L where it reaches ``goal``, or the last one that is a number."""
        begin, last = perf_counter(), np.nan
        for k in count():
            found = self.step()
            if not np.isfinite(found) or found <= goal:
                return k, perf_counter() - begin, found if np.isfinite(found) else last
            last = found
        raise AssertionError("unreachable")


def _rate(times: list[float], steps: int) -> str:
    least, middle, largest = (steps / t for t in (max(times), median(times), min(times)))
    return f"{middle:.3g} steps a second ({least:.3g} to {largest:.3g})"


def _steps_rows(what: str, data: TrainingSet, network: Any, eta: float, torch: ModuleType | None) -> list[Row]:
    """Ours and PyTorch's in turn, and how far apart they are after FEW steps."""
    start, out = network.start(seed=0), []
    ours = partial(homogeneous_descent, network, data, start, eta, check=False)
    calls: dict[str, Callable[[], Any]] = {
        "constant": lambda: ours([STEPS]),
        "normalised by the loss": lambda: ours([STEPS], normalised=True),
    }
    if torch is None:
        times = in_rounds(calls, ROUNDS)
        return [*(Row(f"steps, {what}, {name}", _rate(times[name], STEPS)) for name in calls), Row("the same in PyTorch", "not installed")]
    gaps = {}
    for name, normalised in (("constant", False), ("normalised by the loss", True)):
        for loss in ("exp", "log") if normalised else ("exp",):
            made = partial(InTorch, torch, data, start, eta, loss, normalised)
            run = ours([FEW], normalised=normalised)
            w = np.exp(run.log_norm[0]) * run.direction[0]
            label = f"{name}, PyTorch, {'torch.exp' if loss == 'exp' else 'torch.logsumexp'}"
            gaps[label] = float(np.abs(made().run(FEW) - w).max() / np.abs(w).max())
            calls[label] = lambda made=made: made().run(FEW)
    with fast_threads(torch, calls["constant, PyTorch, torch.exp"]) as threads:
        times = in_rounds(calls, ROUNDS)
    for name in ("constant", "normalised by the loss"):
        out.append(Row(f"two-layer leaky ReLU, {what}, {name}", _rate(times[name], STEPS)))
        for label in (label for label in gaps if label.startswith(name)):
            beside = ratio([t / FEW for t in times[label]], [t / STEPS for t in times[name]])
            out.append(
                Row(
                    f"the same, {label.split(', ', 1)[1]}, autograd and SGD, float64, threads: {threads}",
                    _rate(times[label], FEW),
                    f"{beside} times as long; W after {FEW} steps differs by {gaps[label]:.0e}",
                )
            )
    return out


def _steps_needed(ours: Callable[..., Any], goal: float) -> int:
    """Of normalised descent, within a hundredth."""
    steps = 1000
    while ours([steps], normalised=True).log_loss[0] > -goal:
        steps *= 2
    grid = np.unique(np.linspace(steps // 2, steps, 200).astype(int))
    return int(grid[np.argmax(ours(grid, normalised=True).log_loss <= -goal)])


def _flow_row(what: str, flow: Callable[..., Any]) -> Row:
    """One run, after a short one that compiles."""
    flow([-3.0], check=False)
    begin = perf_counter()
    run = flow([GOAL], check=False)
    taken = perf_counter() - begin
    return Row(what, f"{taken:.3g} s", f"log L = {run.log_loss[0]:.5g}, {run.config['solver_steps']} solver steps, {run.status}")


def _goal_rows(what: str, data: TrainingSet, network: Any, eta: float, torch: ModuleType | None) -> list[Row]:
    start = network.start(seed=0)
    ours = partial(homogeneous_descent, network, data, start, eta, check=False)
    steps = _steps_needed(ours, GOAL)
    times, out = in_rounds({"descent": lambda: ours([steps], normalised=True)}, REPEATS)["descent"], []
    for how, words in FLOWS.items():
        out.append(
            _flow_row(f"to a loss of exp(-1e4), {what}: homogeneous_flow, {how}", partial(homogeneous_flow, network, data, start, **words))
        )
    ended = ours([steps], normalised=True)
    out.append(
        Row(
            "the same, homogeneous_descent normalised by the loss",
            spread(times),
            f"log L = {ended.log_loss[0]:.5g} in {steps} steps, log t = {ended.log_time[0]:.5g}",
        )
    )
    if torch is None:
        return [*out, Row("the same in PyTorch", "not installed")]
    for loss in ("exp", "log"):
        found = [InTorch(torch, data, start, eta, loss, True).to(-GOAL) for _ in range(REPEATS if loss == "exp" else 1)]
        taken, log_loss = found[0][0], found[0][2]
        durations = sorted(each[1] for each in found)
        if log_loss > -GOAL:
            label = f"stalls at log L = {log_loss:.5g}, after {taken} steps"
            beside = "there 1/L overflows, and the weights are nan"
        else:
            label = f"{median(durations):.3g} s"
            beside = f"{median(durations) / median(times):.3g} times as long as ours, {taken} steps"
        out.append(Row(f"the same, PyTorch, {'torch.exp' if loss == 'exp' else 'torch.logsumexp'}, normalised by the loss", label, beside))
    constant = InTorch(torch, data, start, eta, "exp", False)
    begin = perf_counter()
    constant.run(CONSTANT_STEPS)
    taken = perf_counter() - begin
    log_loss = constant.step()
    # L falls like 1/k, up to a power of log k
    decades = (GOAL + log_loss) / log(10.0) + np.log10(CONSTANT_STEPS)
    return [
        *out,
        Row(
            "the same, PyTorch, torch.exp, steps of constant size",
            f"log L = {log_loss:.4g} after {CONSTANT_STEPS} steps, {taken:.3g} s",
            f"as 1/k, some 10^{decades:.0f} steps to go",
        ),
    ]


def rows() -> Iterator[Row]:
    torch = torch_or_none()
    own = 0 if torch is None else torch.get_num_threads()
    for *case, to_the_end in cases():
        yield from _steps_rows(*case, torch)
        if not to_the_end:
            continue
        if torch is not None:
            # at these sizes several only wait for each other
            torch.set_num_threads(1)
        yield from _goal_rows(*case, torch)
        if torch is not None:
            torch.set_num_threads(own)
