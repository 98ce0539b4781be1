"""The report of a check: one page, checks.json, a LaTeX table, and the claims' pictures."""

from flowsim.present.report.page import SCHEMA, write_report
from flowsim.present.report.pictures import draw_picture

__all__ = ["SCHEMA", "draw_picture", "write_report"]
