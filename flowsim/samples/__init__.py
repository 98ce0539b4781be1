"""What finite samples change: data sets, the empirical risk, descent, flow and SGD of matrices on it, and the max-margin separator.

>>> import flowsim as fs
>>> data = fs.samples.draw(fs.Gaussian(dim=2), n=100, seed=0, v=[0.0, 1.0])
>>> data.margin <= fs.samples.max_margin(data).margin
True
"""

from flowsim.samples.dataset import DataSet, draw
from flowsim.samples.descent import sample_descent
from flowsim.samples.empirical import EmpiricalRisk
from flowsim.samples.flow import sample_flow
from flowsim.samples.max_margin import MaxMargin, max_margin
from flowsim.samples.sgd import sgd

__all__ = ["DataSet", "EmpiricalRisk", "MaxMargin", "draw", "max_margin", "sample_descent", "sample_flow", "sgd"]
