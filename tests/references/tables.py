"""h and D of a law in extended precision: Chebyshev pieces in log r, fitted to direct sums.

H(log r) = h (1+r)^2,   G(log r) = D (1+r),   one piece per unit of log r.
"""

import numpy as np
from flint import arb

LD = np.longdouble
LEFT, RIGHT, TERMS = -64, 50, 26


def extended(balls):
    """Balls as 80-bit numbers."""
    return np.array([LD(arb(b.mid()).str(30, radius=False)) for b in balls])


class Table:
    """log r -> (h, D), with c."""

    def __init__(self, law, tables):
        self.c = extended([law.c])[0]
        self.x = np.concatenate([extended(xs) for xs, _, _ in tables])
        self.wx = np.concatenate([extended([x * w for x, w in zip(xs, ws, strict=True)]) for xs, ws, _ in tables])
        self.tail = extended([sum((t for _, _, t in tables), arb(0))])[0]
        k = np.arange(TERMS)
        angles = (LD(2) * k + 1) * (LD(arb.pi().str(30, radius=False)) / (2 * TERMS))
        points, basis = np.cos(angles), np.cos(np.outer(k, angles)) * (LD(2) / TERMS)
        basis[0] /= 2
        self.pieces = []
        for j in range(LEFT, RIGHT):
            rows = np.array([self.scaled(LD(j) + (1 + p) / 2) for p in points])
            both = basis @ rows
            self.pieces.append(([LD(v) for v in both[::-1, 0]], [LD(v) for v in both[::-1, 1]]))

    def sums(self, level):
        """h = sum w x s, D = (sum w x tanh(r x/2) + tail)/(2r)."""
        r = np.exp(level)
        z = r * self.x
        e = np.exp(-z)
        return np.sum(self.wx * e / (1 + e)), (np.sum(self.wx * np.tanh(z / 2)) + self.tail) / (2 * r)

    def scaled(self, level):
        """(H, G)."""
        h, drag = self.sums(level)
        r = np.exp(level)
        return h * (1 + r) ** 2, drag * (1 + r)

    def __call__(self, level):
        """(h, D) by Clenshaw's recurrence."""
        j = int(np.floor(level))
        if not LEFT <= j < RIGHT:
            raise ArithmeticError(f"log r = {float(level):.3g} outside the table")
        y = 2 * (level - j) - 1
        twice = y + y
        values = []
        for coefficients in self.pieces[j - LEFT]:
            a = b = LD(0)
            for v in coefficients[:-1]:
                a, b = twice * a - b + v, a
            values.append(y * a - b + coefficients[-1])
        grow = 1 + np.exp(level)
        return values[0] / grow**2, values[1] / grow

    def verify(self, law, tables, count=24):
        """Largest relative error against ball-arithmetic sums on other nodes, at scattered log r."""
        worst = 0.0
        for i in range(count):
            level = LD(LEFT + (RIGHT - LEFT) * ((i * 0.6180339887) % 1))
            r = arb(float(level)).exp()
            level = LD(float(level))
            h, drag = arb(0), arb(0)
            for xs, ws, tail in tables:
                drag += tail
                for x, w in zip(xs, ws, strict=True):
                    t = (-r * x).expm1()
                    h += w * x * (1 + t) / (2 + t)
                    drag -= w * x * t / (2 + t)
            exact = extended([h, drag / (2 * r)])
            worst = max(worst, *[float(abs(a / b - 1)) for a, b in zip(self(level), exact, strict=True)])
        return worst
