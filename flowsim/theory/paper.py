"""The paper's experiment: figure 1 of Lin, Sun, Zhang 2021 (submitted version).

SGD on networks of 1 and 4 layers, x uniform on the circle, batches of 1000; the bounds of Theorems 1 and 5 drawn from the start, and
again from a later step. The batches are samples; here the experiment is its law, its start and its numbers.
"""

from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from flowsim.problem import PopulationRisk, Sphere, Start

PAPER = "Lin, Sun, Zhang 2021 (submitted version)"


@dataclass(frozen=True)
class Experiment:
    """predictor, teacher: w(0) and v, (2,).  step_size: eta.  batch: samples a step.  restarts: depth: the step of the second bound."""

    predictor: tuple[float, ...]
    teacher: tuple[float, ...]
    step_size: float
    batch: int
    restarts: MappingProxyType[int, int] = field(hash=False)

    @cached_property
    def risk(self) -> PopulationRisk:
        """x uniform on the circle."""
        return PopulationRisk(Sphere(len(self.teacher)))

    @cached_property
    def start(self) -> Start:
        """|w(0)| and the angle between w(0) and v."""
        return Start.from_vectors(self.predictor, self.teacher)

    @property
    def depths(self) -> tuple[int, ...]:
        """1 and 4."""
        return tuple(self.restarts)

    def restart_time(self, depth: int) -> float:
        """eta n at the step from which the bound is drawn again."""
        return self.step_size * self.restarts[depth]


FIGURE_1 = Experiment(predictor=(0.6, -0.8), teacher=(0.0, 1.0), step_size=1e-3, batch=1000, restarts=MappingProxyType({1: 5000, 4: 18000}))
