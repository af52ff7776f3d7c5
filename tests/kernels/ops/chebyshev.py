"""Derive the coefficients of `fastnn.kernels.ops.functions`: interpolation, in 50 digits."""

import math
from collections.abc import Callable
from decimal import Decimal, localcontext

DIGITS = 50
TERMS = 40  # of series that win more than a digit with each
LN2 = Decimal(2).ln()


def interpolate(f: Callable, low: Decimal, high: Decimal, degree: int) -> list[float]:
    """Return the polynomial that meets `f` at Chebyshev's points, the highest power first."""
    with localcontext(prec=DIGITS):
        points = [
            (low + high) / 2
            + (high - low) / 2 * Decimal(math.cos(math.pi * (i + 0.5) / (degree + 1)))
            for i in range(degree + 1)
        ]
        # Newton's divided differences, then multiplied out
        differences = [f(point) for point in points]
        for level in range(1, degree + 1):
            for i in reversed(range(level, degree + 1)):
                step = points[i] - points[i - level]
                differences[i] = (differences[i] - differences[i - 1]) / step
        powers = [differences[-1]]
        for point, difference in reversed(list(zip(points, differences, strict=True))[:-1]):
            shifted = [*powers, Decimal(0)]
            powers = [a - point * b for a, b in zip(shifted, [Decimal(0), *powers], strict=True)]
            powers[-1] += difference
        return [float(power) for power in powers]


def q(r: Decimal) -> Decimal:
    """``exp(r) = 1 + r + r² · q(r)``, by its series."""
    return Decimal("0.5") + sum(r**k / math.factorial(k + 2) for k in range(1, TERMS))


def l(z: Decimal) -> Decimal:  # noqa: E743
    """``log(1 + f) = 2s + s³ · l(s²)``, where ``s = f / (2 + f)``, by its series."""
    return 2 * (1 / Decimal(3) + sum(z**k / (2 * k + 3) for k in range(1, TERMS)))


def coefficients_of_q(degree: int) -> list[float]:
    """For ``|r| <= ln 2 / 2``, which is what is left of x by multiples of ln 2."""
    return interpolate(q, -LN2 / 2, LN2 / 2, degree)


def coefficients_of_l(degree: int) -> list[float]:
    """For ``1 + f`` between √½ and √2."""
    root = Decimal(2).sqrt()
    s = (root - 1) / (root + 1)
    return interpolate(l, Decimal(0), s * s, degree)
