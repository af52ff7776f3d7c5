"""GELU (Hendrycks and Gimpel, 2016): an activation whose gradient needs what came in."""

import math

from fastnn import Activation


def gelu(x):
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))


def gelu_gradient(x, y, dy):
    density = math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    share = y / x if x != 0 else 0.5
    return dy * (share + x * density)


class GELU(Activation):
    function, gradient, reads_input = gelu, gelu_gradient, True
