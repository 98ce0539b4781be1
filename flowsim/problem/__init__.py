"""What is learned: laws of the data, their profiles, the population risk and its plane."""

from flowsim.problem.law import Law, Tail
from flowsim.problem.laws import LAWS, Ball, Gaussian, Laplace, Radial, Sphere, StudentT
from flowsim.problem.plane import Start, log_times
from flowsim.problem.profile import Profile
from flowsim.problem.risk import PopulationRisk

__all__ = [
    "LAWS",
    "Ball",
    "Gaussian",
    "Laplace",
    "Law",
    "PopulationRisk",
    "Profile",
    "Radial",
    "Sphere",
    "Start",
    "StudentT",
    "Tail",
    "log_times",
]
