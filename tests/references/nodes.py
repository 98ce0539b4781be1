"""Quadrature nodes, in ball arithmetic, for the density of |x_1| under each reference law.

    integral_0^inf f(x) g(x) dx  ~  sum_j w_j g(x_j),    x_j = x(y_j),  y_j = y_0 + (j + shift) step

Every map x(y) makes the integrand analytic in a strip |Im y| < S and decaying at both ends, so the
plain sum (the trapezoid rule) errs by about exp(-2 pi S / step).  Parameters are read as the IEEE
doubles nearest to the decimals written.
"""

from dataclasses import dataclass, field
from math import ceil, log, pi

from flint import arb, ctx

LOW = -1010.0  # smallest y of the half-line maps: good for r <= 1e300 and a density like x^(-1/2)
FAR = 710.0  # largest y for power tails: beyond, only E|x_1| still gathers, closed by the geometric series
GUARD = 450  # extra bits inside the special functions, whose series cancel


@dataclass
class Law:
    """A law: its name and arguments, c = E|x_1|/2, E[x_1^2] (None if infinite), and pieces x(y), w(y)."""

    name: str
    kwargs: dict
    radius: dict | None = None
    c: arb = None
    second: arb = None
    pieces: list = field(default_factory=list)
    small: float = 1.0  # P(|x_1| < u) ~ u^small (up to a logarithm)


@dataclass
class Piece:
    """x(y), w(y) = f(x) dx/dy on [low, high]; tail = alpha if w x ~ exp(-alpha y) beyond high, else None."""

    x: object
    w: object
    low: float
    high: float
    strip: float
    tail: float | None = None


def half_line(density, low, high, strip, tail=None):
    """x = exp(y)."""
    return Piece(lambda y: y.exp(), lambda y: y.exp() * density(y.exp()), low, high, strip, tail)


def capped(density, radius, low, high, strip):
    """x = R / sqrt(1 + exp(-2y)); the density takes (x, 1 - x^2/R^2), the second free of cancellation."""

    def x(y):
        return radius * y.exp() / (1 + (2 * y).exp()).sqrt()

    def w(y):
        room = 1 / (1 + (2 * y).exp())
        return x(y) * room * density(x(y), room)

    return Piece(x, w, low, high, strip)


def segment(density, start, end):
    """x = a + (b-a)/(1+exp(-y)); the density takes (x, b - x), the second free of cancellation."""
    width = end - start

    def w(y):
        left, right = 1 / (1 + (-y).exp()), 1 / (1 + y.exp())
        return width * left * right * density(start + width * left, width * right)

    return Piece(lambda y: start + width / (1 + (-y).exp()), w, -130.0, 130.0, pi / 2)


def guarded(function):
    """The function at the midpoint of the ball, at a higher working precision, rounded back."""

    def wrapped(u):
        bits = ctx.prec
        ctx.prec = bits + GUARD
        try:
            value = function(arb(u.mid()))
        finally:
            ctx.prec = bits
        return +value

    return wrapped


def sphere_mean(dim):
    """E|u_1| = Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)), u uniform on the unit sphere of R^d."""
    return (arb(dim) / 2).gamma() / (arb.pi().sqrt() * (arb(dim + 1) / 2).gamma())


def gaussian(kwargs):
    """f = sqrt(2/pi)/scale exp(-x^2/(2 scale^2))."""
    scale = arb(kwargs["scale"])
    front = (2 / arb.pi()).sqrt() / scale
    piece = half_line(lambda x: front * (-((x / scale) ** 2) / 2).exp(), LOW, log(18 * kwargs["scale"]), pi / 4)
    return scale / (2 * arb.pi()).sqrt(), scale**2, [piece]


def sphere(dim, radius, moment_dim):
    """f proportional to (1 - x^2/R^2)^((d-3)/2) on (0, R)."""
    big = arb(radius)
    front = 2 * (arb(dim) / 2).gamma() / (arb.pi().sqrt() * (arb(dim - 1) / 2).gamma()) / big
    piece = capped(lambda x, room: front * room ** (arb(dim - 3) / 2), big, LOW, 130 / (dim - 1) + 2, pi / 3)
    return big * sphere_mean(dim) / 2, big**2 / moment_dim, [piece]


def student(kwargs):
    """f proportional to (1 + x^2/(df scale^2))^(-(df+1)/2)."""
    df, scale = arb(kwargs["df"]), arb(kwargs["scale"])
    front = 2 * ((df + 1) / 2).gamma() / ((df * arb.pi()).sqrt() * (df / 2).gamma() * scale)

    def density(x):
        return front * (1 + x**2 / (df * scale**2)) ** (-(df + 1) / 2)

    piece = half_line(density, LOW, FAR, pi / 3, kwargs["df"] - 1)
    return (
        front * df * scale**2 / (df - 1) / 2,
        scale**2 * df / (df - 2) if kwargs["df"] > 2 else None,
        [piece],
    )


def laplace(kwargs):
    """f = exp(-x/scale)/scale."""
    scale = arb(kwargs["scale"])
    piece = half_line(lambda x: (-x / scale).exp() / scale, LOW, log(140 * kwargs["scale"]), pi / 2)
    return scale / 2, 2 * scale**2, [piece]


def lognormal_density(sigma):
    """f(u) = (2/pi) int p(u sqrt(1+e^(2z))) e^z / sqrt(1+e^(2z)) dz, p lognormal; constant below e^-60."""
    step = arb(1) / 16
    grid = []
    for j in range(-125 * 16, 75 * 16):
        z = step * j
        grow = (1 + (2 * z).exp()).sqrt()
        grid.append((grow.log(), step * z.exp() / grow**2))
    front = (2 / arb.pi()) / (sigma * (2 * arb.pi()).sqrt())

    def density(u):
        level = u.log()
        if level < -60:
            u, level = arb(-60).exp(), arb(-60)
        total, scale = arb(0), 1 / (2 * sigma**2)
        for shift, weight in grid:
            here = level + shift
            exponent = scale * here * here
            if exponent < 160:
                total += weight * (-exponent).exp()
        return front * total / u

    cache = {}

    def cached(u):
        key = "low" if u.log() < -60 else u
        if key != "low":
            return density(u)
        if key not in cache:
            cache[key] = density(u)
        return cache[key]

    return cached


def radial(kwargs, radius):
    """f(u) = int_u^inf p(rho) g_d(u/rho)/rho drho, g_d the sphere's density; closed forms but for lognorm."""
    kind, args, dim, bits = radius["name"], radius["args"], kwargs["dim"], arb.pi()
    half, high, strip, low = arb(1) / 2, log(140.0), pi / 2, LOW
    if (kind, dim) == ("gamma", 2) and args == [3.0]:  # (1/pi) u^2 (K_0 + K_1/u)
        mean, square = arb(3), arb(12)
        parts = [half_line(guarded(lambda u: u * (u * u.bessel_k(0) + u.bessel_k(1)) / arb.pi()), low, high, strip)]
    elif (kind, dim) == ("expon", 2):  # (2/pi) K_0
        mean, square = arb(1), arb(2)
        parts = [half_line(guarded(lambda u: 2 * u.bessel_k(0) / arb.pi()), low, high, strip)]
    elif (kind, dim) == ("gamma", 3) and args == [0.5]:  # Gamma(-1/2, u)/sqrt(pi)
        mean, square = half, half * 3 / 2
        parts = [half_line(guarded(lambda u: u.gamma_upper(-half) / arb.pi().sqrt()), low, high, strip)]
    elif (kind, dim) == ("halfnorm", 2):  # (1/pi) sqrt(2/pi) exp(-u^2/4) K_0(u^2/4)
        mean, square, front = (2 / bits).sqrt(), arb(1), (2 / bits).sqrt() / bits

        def product(u):
            return front * (-u * u / 4).exp() * (u * u / 4).bessel_k(0)

        parts = [half_line(guarded(product), low, log(18.0), pi / 4)]
    elif (kind, dim) == ("weibull_min", 4) and args == [4.0]:  # (8/pi) Gamma(3/2) 2^(-3/2) e^(-u^4) U(3/4,1/2,u^4)
        mean, square = (arb(5) / 4).gamma(), (arb(3) / 2).gamma()
        front = 8 / bits * (arb(3) / 2).gamma() * arb(2) ** (-arb(3) / 2)

        def parabolic(u):
            return front * (-(u**4)).exp() * (u**4).hypgeom_u(arb(3) / 4, half)

        parts = [half_line(guarded(parabolic), low, log(3.6), pi / 8)]
    elif (kind, dim) == ("beta", 5) and args == [2.0, 2.0]:  # 9 (1/2 - 2u + 3u^2/2 - u^2 log u)
        mean, square = half, arb(3) / 10
        parts = [capped(lambda u, _: 9 * (half - 2 * u + 3 * u * u / 2 - u * u * u.log()), arb(1), low, 20.0, strip)]
    elif (kind, dim) == ("uniform", 3) and args == [0.5, 1.0]:  # log 3 below 1/2, then log(1.5/u)
        mean, square, top = arb(1), arb(13) / 12, arb(3) / 2
        parts = [
            capped(lambda u, _: arb(3).log(), half, low, 70.0, strip),
            segment(lambda u, gap: -(-gap / top).log1p(), half, top),
        ]
    elif (kind, dim) == ("pareto", 3) and args == [1.5]:  # 0.6 max(u,1)^(-5/2)
        mean, square, level = arb(3), None, arb(3) / 5
        parts = [
            capped(lambda u, _: level, arb(1), low, 70.0, strip),
            Piece(
                lambda y: 1 + y.exp(),
                lambda y: level * y.exp() * (1 + y.exp()) ** (-arb(5) / 2),
                -130.0,
                FAR,
                strip,
                0.5,
            ),
        ]
    elif (kind, dim) == ("triang", 2) and args == [0.5]:  # see README: square roots and arccosh
        mean, square = half, arb(7) / 24

        def inner(u, room):
            one, part = (1 - u * u).sqrt(), room.sqrt() / 2
            return 8 / bits * (2 * part - one + ((1 + one) / (half + part)).log())

        def outer(u, gap):
            one = (gap * (1 + u)).sqrt()
            return 8 / bits * (((1 + one) / u).log() - one)

        parts = [capped(inner, half, low, 70.0, strip), segment(outer, half, arb(1))]
    elif (kind, dim) == ("lognorm", 2):
        sigma = arb(args[0])
        mean, square = (sigma**2 / 2).exp(), (2 * sigma**2).exp()
        parts = [half_line(lognormal_density(sigma), low, 13.0, pi / 2)]
    else:
        raise ValueError(f"no density for {radius} in dimension {dim}")
    return mean * sphere_mean(dim) / 2, None if square is None else square / dim, parts


def make_law(name, kwargs, radius=None):
    """The law with its constants and pieces, at the current working precision."""
    law = Law(name, kwargs, radius)
    if name == "Gaussian":
        law.c, law.second, law.pieces = gaussian(kwargs)
    elif name == "Sphere":
        law.c, law.second, law.pieces = sphere(kwargs["dim"], kwargs["radius"], kwargs["dim"])
    elif name == "Ball":  # the marginal of the sphere in R^(d+2)
        law.c, law.second, law.pieces = sphere(kwargs["dim"] + 2, kwargs["radius"], kwargs["dim"] + 2)
    elif name == "StudentT":
        law.c, law.second, law.pieces = student(kwargs)
    elif name == "Laplace":
        law.c, law.second, law.pieces = laplace(kwargs)
    else:
        law.c, law.second, law.pieces = radial(kwargs, radius)
        law.small = 0.5 if radius["name"] == "gamma" and radius["args"] == [0.5] else 1.0
    return law


def nodes(law, digits, shift, low=LOW, high=FAR):
    """For each piece (x_j, w_j, tail), tail = sum of w x beyond the last node; step set for 10^-digits."""
    tables = []
    for piece in law.pieces:
        step = arb(2 * pi * piece.strip / (digits * log(10)))
        start, stop = max(piece.low, low), min(piece.high, high)
        count = ceil((stop - start) / float(step))
        xs, ws = [], []
        for j in range(count):
            y = arb(start) + (j + arb(shift)) * step
            xs.append(piece.x(y))
            ws.append(step * piece.w(y))
        tail = arb(0)
        if piece.tail is not None:
            ratio = (-arb(piece.tail) * step).exp()
            tail = ws[-1] * xs[-1] * ratio / (1 - ratio)
        tables.append((xs, ws, tail))
    return tables


def working_bits(bits):
    """Set the working precision."""
    ctx.prec = bits
