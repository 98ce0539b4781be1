"""The numbered statements of the paper, so that none goes without a claim unnoticed."""

from flowsim.theory.paper import PAPER

__all__ = ["LATER", "PAPER", "STATEMENTS"]

STATEMENTS = {
    "Proposition 1": "the population risk in closed form",
    "Proposition 2": "its gradient",
    "Proposition 3": "its Hessian, convexity, smoothness",
    "Lemma 1": "bounds on the growth and on the gradient",
    "Theorem 1": "one layer, gradient flow: lower bound on the direction",
    "Theorem 2": "one layer, gradient descent with any step sizes, before the right angle",
    "Theorem 3": "one layer, gradient descent that keeps its norm",
    "Theorem 4": "one layer, gradient descent with bounded step sizes: superpolynomial",
    "Remark 1": "orders of the sum in Theorem 2",
    "Remark 2": "orders of the sum in Theorem 3",
    "equation 7": "the end-to-end flow of balanced layers",
    "Lemma 2": "the norm falls, then grows",
    "Lemma 3": "the speed of the direction",
    "Lemma 4": "deep networks: floor and ceiling of the norm",
    "Theorem 5": "deep networks, gradient flow: bounds on the direction",
    "Figure 1": "linear networks of 1 and 4 layers on the circle",
    "Figure 2": "ReLU networks of 5 layers on images",
}
"""Number: what it says. The propositions' and the lemma's parts are told apart by what they state; our notes number them together."""

LATER = {
    "Figure 2": "drawn by flowsim relu; an experiment with networks that are not linear, of which the theory states nothing to measure",
}
"""Number: why nothing measures it yet."""
