"""How runs are shown: panels, whole figures, and the runs a report draws. Nothing here changes matplotlib's settings.

`plot_path`, `plot_straightened`, `plot_exponent`, `plot_gap`, `plot_gap_order`, `plot_sharpness`, `plot_two_phases`, `plot_bounds`,
`plot_layers_direction` and `plot_regimes` draw one panel into ``ax=`` and return it. The figures put panels on a page, ``page="neurips"``,
``"icml-single"`` or ``"icml-double"``, and `save_figure` writes them. Measured lines are solid and coloured, predicted ones dashed and
black. All of them need saved runs alone, and `sweep_figure` a sweep's store. `STYLE` is the style sheet for figures of one's own:
``plt.style.use([STYLE, page_settings("icml-single")])``.
"""

from flowsim.present.crossover import crossover_figure, crossover_runs
from flowsim.present.doubles import cartesian_descent, doubles_figure, doubles_runs
from flowsim.present.figures import (
    bounds_figure,
    comparison_figure,
    exponents_figure,
    gap_order_figure,
    rates_figure,
    sharpness_figure,
    straight_figure,
    trajectory_figure,
    two_phases_figure,
)
from flowsim.present.finite import finite_figure
from flowsim.present.gaps import plot_gap, plot_gap_order
from flowsim.present.images import relu_figure
from flowsim.present.layers import layers_figure, plot_layers_direction
from flowsim.present.margin_crossover import margin_crossover_figure
from flowsim.present.margin_runs import margin_crossover_runs, margin_crossover_times
from flowsim.present.paper import paper_figure
from flowsim.present.paths import plot_exponent, plot_path, plot_straightened
from flowsim.present.phases import plot_bounds, plot_two_phases
from flowsim.present.regimes import plot_regimes, regime_figure
from flowsim.present.report import draw_picture, write_report
from flowsim.present.runs import late_flows, paper_runs
from flowsim.present.sharpness import plot_sharpness
from flowsim.present.style import PAGES, STYLE, figure_format, page_settings, save_figure, styled
from flowsim.present.sweeps import sweep_figure

__all__ = [
    "PAGES",
    "STYLE",
    "bounds_figure",
    "cartesian_descent",
    "comparison_figure",
    "crossover_figure",
    "crossover_runs",
    "doubles_figure",
    "doubles_runs",
    "draw_picture",
    "exponents_figure",
    "figure_format",
    "finite_figure",
    "gap_order_figure",
    "late_flows",
    "layers_figure",
    "margin_crossover_figure",
    "margin_crossover_runs",
    "margin_crossover_times",
    "page_settings",
    "paper_figure",
    "paper_runs",
    "plot_bounds",
    "plot_exponent",
    "plot_gap",
    "plot_gap_order",
    "plot_layers_direction",
    "plot_path",
    "plot_regimes",
    "plot_sharpness",
    "plot_straightened",
    "plot_two_phases",
    "rates_figure",
    "regime_figure",
    "relu_figure",
    "save_figure",
    "sharpness_figure",
    "straight_figure",
    "styled",
    "sweep_figure",
    "trajectory_figure",
    "two_phases_figure",
    "write_report",
]
