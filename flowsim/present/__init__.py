"""How runs are shown: panels, whole figures, and the runs a report draws. Nothing here changes matplotlib's settings."""

from flowsim.present.doubles import cartesian_descent, doubles_figure, doubles_runs
from flowsim.present.figures import comparison_figure, rates_figure, trajectory_figure
from flowsim.present.panels import plot_exponent, plot_gap, plot_path, plot_sharpness
from flowsim.present.paper import paper_figure
from flowsim.present.regimes import plot_regimes, regime_figure
from flowsim.present.runs import late_flows, paper_runs
from flowsim.present.style import figure_format, save_figure, styled

__all__ = [
    "cartesian_descent",
    "comparison_figure",
    "doubles_figure",
    "doubles_runs",
    "figure_format",
    "late_flows",
    "paper_figure",
    "paper_runs",
    "plot_exponent",
    "plot_gap",
    "plot_path",
    "plot_regimes",
    "plot_sharpness",
    "rates_figure",
    "regime_figure",
    "save_figure",
    "styled",
    "trajectory_figure",
]
