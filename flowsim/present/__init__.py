"""How runs are shown: panels, whole figures, and the runs a report draws. Nothing here changes matplotlib's settings."""

from flowsim.present.figures import comparison_figure, rates_figure, trajectory_figure
from flowsim.present.panels import plot_exponent, plot_gap, plot_path
from flowsim.present.paper import paper_figure
from flowsim.present.runs import late_flows, paper_runs
from flowsim.present.style import figure_format, save_figure, styled

__all__ = [
    "comparison_figure",
    "figure_format",
    "late_flows",
    "paper_figure",
    "paper_runs",
    "plot_exponent",
    "plot_gap",
    "plot_path",
    "rates_figure",
    "save_figure",
    "styled",
    "trajectory_figure",
]
