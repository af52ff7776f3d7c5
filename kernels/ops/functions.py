"""Functions of one number, written so that LLVM can vectorize loops over them.

The system's mathematical library takes one number at a time and branches; a loop that
calls it stays scalar. Here each function is arithmetic without a branch, inlined into the
loop, where LLVM computes as many elements at once as a vector register holds.

One method serves exp, log, tanh and the sigmoid. ``exp(x) = 2^n · exp(r)``, where n is the whole
number nearest to ``x / ln 2``, so that ``|r| <= ln 2 / 2``, and ``exp(r) = 1 + r + r² · q(r)`` with
a polynomial q. ``log(x) = k · ln 2 + log(1 + f)``, where ``x = 2^k · (1 + f)`` and ``1 + f`` lies
between √½ and √2; ``log(1 + f) = 2s + s³ · l(s²)`` with ``s = f / (2 + f)`` and a polynomial l.

Both polynomials interpolate at Chebyshev's points, which comes close to the minimax error;
``tests/kernels/ops/test_functions.py`` computes the coefficients anew. Largest errors found there,
in units in the last place (ulp) over the whole range, denormal results included:

======== ======= =======
function float32 float64
======== ======= =======
exp      1       1
log      1       1
log1p    1.5     1.5
tanh     3       3
logistic 2.5     2.5
======== ======= =======

NaN stays NaN; infinities, overflow, underflow and signed zeros follow IEEE 754 and C99. The
bits are the same in the vectors of a loop, in its remainder and for a number alone, since every
multiplication that may be fused with an addition says so itself.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from fastnn.kernels.runtime.compiling import inlined
from fastnn.kernels.runtime.intrinsics import NumbaType, bits, fma, from_bits, polynomial


class Format(NamedTuple):
    """The constants of a floating-point format, and what is computed with in it."""

    mantissa: int  # bits of it that are stored
    bias: int  # of the exponent
    sign: int  # the sign bit
    round: Any  # x + round is x to the nearest whole number; its last bits are x + 2 bias
    exp_min: Any  # below, exp is 0
    exp_max: Any  # above, exp is infinite
    tanh_min: Any  # below, exp - 1 is -1
    log2_e: Any
    ln2_high: Any  # few bits, so that n · ln2_high is exact
    ln2_low: Any  # the rest
    min_normal: Any  # the smallest normal number
    scale_up: Any  # makes denormal numbers normal: 2^mantissa
    root_two: Any
    root_half_bits: int
    q: tuple[Any, ...]  # the polynomials' coefficients, the highest power first
    l: tuple[Any, ...]  # noqa: E741 - q for log


def _format(
    dtype: type[np.floating],
    integer: type[np.integer],
    exp_range: tuple[float, float],
    tanh_min: float,
    ln2: tuple[str, float],
    q: tuple[float, ...],
    l: tuple[float, ...],  # noqa: E741
) -> Format:
    info = np.finfo(dtype)
    bias = info.maxexp - 1
    root_half = dtype(0.5**0.5)
    return Format(
        mantissa=info.nmant,
        bias=bias,
        sign=int(np.iinfo(integer).min),
        round=dtype(1.5 * 2.0**info.nmant + 2 * bias),
        exp_min=dtype(exp_range[0]),
        exp_max=dtype(exp_range[1]),
        tanh_min=dtype(tanh_min),
        log2_e=dtype(1.4426950408889634),
        ln2_high=dtype(float.fromhex(ln2[0])),
        ln2_low=dtype(ln2[1]),
        min_normal=info.tiny,
        scale_up=dtype(2.0**info.nmant),
        root_two=dtype(2**0.5),
        root_half_bits=int(root_half.view(integer)),
        q=tuple(map(dtype, q)),
        l=tuple(map(dtype, l)),
    )


FLOAT32 = _format(
    np.float32,
    np.int32,
    exp_range=(-104, 89),
    tanh_min=-20,
    ln2=("0x1.62e4p-1", 1.4286067653302e-06),
    q=(
        1.9890980869750327e-04,
        1.3933641031986701e-03,
        8.333310934448869e-03,
        4.166646500604005e-02,
        0.16666666681614256,
        0.5000000013457727,
    ),
    l=(0.2957994939197279, 0.3998878056602198, 0.6666668503957586),
)
FLOAT64 = _format(
    np.float64,
    np.int64,
    exp_range=(-746, 710),
    tanh_min=-40,
    ln2=("0x1.62e42fefa3p-1", 2.8235290563031577e-13),
    q=(
        2.0914679376583935e-09,
        2.510520637395701e-08,
        2.7557273661348637e-07,
        2.7557255425746435e-06,
        2.4801587325533363e-05,
        1.9841269874800493e-04,
        1.3888888888883752e-03,
        8.333333333326141e-03,
        4.1666666666666670e-02,
        0.1666666666666667,
        0.5,
    ),
    l=(
        0.14616449685043406,
        0.15331721600556042,
        0.18182889125261723,
        0.2222221113479508,
        0.28571428625975487,
        0.39999999999899505,
        0.666666666666667,
    ),
)


def _constants(x: float) -> Format:
    """Return the constants of the format of `x`; compiled code has them at compile time."""
    return FLOAT32 if np.asarray(x).dtype == np.float32 else FLOAT64


@overload(_constants)
def _constants_of_type(x: NumbaType) -> Callable[[NumbaType], Format]:
    constants = {types.float32: FLOAT32, types.float64: FLOAT64}[x]

    def implementation(x: NumbaType) -> Format:
        return constants

    return implementation


@inlined
def _split(x: float) -> tuple[int, float]:
    """Return n and r with ``exp(x) = 2^n exp(r)``, for x within range.

    What is returned of n are bits whose last ones are ``n + 2 bias``.
    """
    c = _constants(x)
    rounded = fma(x, c.log2_e, c.round)  # its last bits are n
    n = rounded - c.round
    r = fma(-n, c.ln2_low, fma(-n, c.ln2_high, x))
    return bits(rounded), r


@inlined
def _power_of_two(biased: int, like: float) -> float:
    """``2^(biased - bias)``, of whose first argument only the last bits count."""
    power: float = from_bits(biased << _constants(like).mantissa, like)
    return power


@inlined
def _exp_less_one(r: float) -> float:
    """``exp(r) - 1`` for ``|r| <= ln 2 / 2``, of small relative error near 0 too."""
    y: float = fma(r * r, polynomial(_constants(r).q, r), r)
    return y


@inlined
def exp(x: float) -> float:
    """``e^x``."""
    c = _constants(x)
    x = c.exp_min if x < c.exp_min else x
    x = c.exp_max if x > c.exp_max else x
    n, r = _split(x)
    # Half of n at a time: 2^n alone may be out of range where the result is not. The halves of
    # n + 2 bias are each a biased exponent.
    half = n >> 1
    y = (_exp_less_one(r) + type(x)(1)) * _power_of_two(half, x)
    return y * _power_of_two(n - half, x)


@inlined
def logistic(x: float) -> float:
    """``1 / (1 + exp(-x))``, without overflow for either sign."""
    one = type(x)(1)
    e = exp(-abs(x))  # in [0, 1]
    return (one if x >= 0 else e) / (one + e)


@inlined
def tanh(x: float) -> float:
    """Hyperbolic tangent: ``|t| / (2 + t)`` with ``t = exp(-2 |x|) - 1``, and the sign of x."""
    c = _constants(x)
    one = type(x)(1)
    a = -abs(x + x)
    a = c.tanh_min if a < c.tanh_min else a
    n, r = _split(a)
    power = _power_of_two(n - c.bias, x)
    t = fma(power, _exp_less_one(r), power - one)
    y: float = from_bits(bits(abs(t) / (one + one + t)) | (bits(x) & c.sign), x)
    return y


@inlined
def _log(k: float, f: float) -> float:
    """``k ln 2 + log(1 + f)`` with ``1 + f`` between √½ and √2."""
    c = _constants(f)
    s = f / (type(f)(2) + f)
    z = s * s
    half_square = type(f)(0.5) * f * f  # 2 s = f - s f, and s f = half_square (1 - s)
    rest = fma(s, fma(z, polynomial(c.l, z), half_square), k * c.ln2_low)
    y: float = fma(k, c.ln2_high, f - (half_square - rest))
    return y


@inlined
def log(x: float) -> float:
    """Natural logarithm: -∞ for 0, NaN below."""
    c = _constants(x)
    zero, infinity = type(x)(0), type(x)(np.inf)
    denormal = x < c.min_normal
    y = x * c.scale_up if denormal else x
    # As integers, the bits of √½ are the origin: above the mantissa the difference is k, and its
    # lower bits, moved back, are those of 1 + f.
    pattern = bits(y) - c.root_half_bits
    k = type(x)(pattern >> c.mantissa)
    k = k - type(x)(c.mantissa) if denormal else k
    f = from_bits((pattern & ((1 << c.mantissa) - 1)) + c.root_half_bits, x) - type(x)(1)
    result = _log(k, f)
    result = result if x < infinity else x
    result = -infinity if x == zero else result
    return type(x)(np.nan) if x < zero else result


@inlined
def log1p(x: float) -> float:
    """``log(1 + x)`` for x from 0 to 1, where ``exp(-|z|)`` lies."""
    one = type(x)(1)
    large = x > _constants(x).root_two - one
    k = one if large else type(x)(0)
    return _log(k, (x - one) * type(x)(0.5) if large else x)
