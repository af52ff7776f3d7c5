"""Kernels with one mistake each, and the check that must catch it."""

import numpy as np

from fastnn.kernels.testing import contract


def right(a, b, out):
    np.matmul(a, b, out=out)


def reads_out(a, b, out):
    out += a @ b


def forgets_to_write(a, b, out):
    out[:, :-1] = a @ b[:, :-1]


def skips_zeros(a, b, out):
    out[...] = 0
    for i in range(a.shape[0]):
        for p in range(a.shape[1]):
            if a[i, p] != 0:
                out[i] += a[i, p] * b[p]


def drops_nan(a, b, out):
    np.matmul(np.nan_to_num(a), b, out=out)


def clips_infinity(a, b, out):
    limit = np.finfo(a.dtype).max
    np.matmul(np.clip(a, -limit, limit), b, out=out)


def saturates(a, b, out):
    limit = np.finfo(a.dtype).max
    np.matmul(a, b, out=out)
    if np.isfinite(a).all() and np.isfinite(b).all():
        np.clip(out, -limit, limit, out=out)


def flushes_denormals(a, b, out):
    tiny = np.finfo(a.dtype).smallest_normal
    np.matmul(np.where(abs(a) < tiny, 0, a), b, out=out)


def negates_zeros(a, b, out):
    np.negative(np.negative(a) @ b, out=out)


def misreads_transposes(a, b, out):
    np.matmul(a.ravel(order="K").reshape(a.shape), b, out=out)


def misses_a_row_above_a_tile(a, b, out):
    rows = len(a) - (len(a) % 16 == 1 and len(a) > 1)
    out[:rows] = a[:rows] @ b


def misses_a_step_of_k_above_a_tile(a, b, out):
    k = a.shape[1] - (a.shape[1] > 512 and a.shape[1] % 8 == 1)
    np.matmul(a[:, :k], b[:k], out=out)


def misses_the_last_column_below_a_tile(a, b, out):
    np.matmul(a, b, out=out)
    if out.shape[1] % 64 == 63:
        out[:, -1] = 0


def writes_beside_out(a, b, out):
    np.matmul(a, b, out=out)
    if out.base is not None and not out.flags.c_contiguous and out.base.dtype == out.dtype:
        out.base[-1, -1] = 0


def overwrites_an_operand(a, b, out):
    np.matmul(a, b, out=out)
    if b.flags.writeable:
        b *= 2


def works_in_half_the_precision(a, b, out):
    half = {4: np.float16, 8: np.float32}[a.itemsize]
    np.matmul(a.astype(half).astype(a.dtype), b, out=out)


MISTAKES = [
    (reads_out, contract.check_shapes),
    (forgets_to_write, contract.check_shapes),
    (misses_a_row_above_a_tile, contract.check_shapes),
    (misses_a_step_of_k_above_a_tile, contract.check_shapes),
    (misses_the_last_column_below_a_tile, contract.check_shapes),
    (works_in_half_the_precision, contract.check_shapes),
    (overwrites_an_operand, contract.check_shapes),
    (misreads_transposes, contract.check_layouts),
    (writes_beside_out, contract.check_layouts),
    (skips_zeros, contract.check_special_values),
    (drops_nan, contract.check_special_values),
    (clips_infinity, contract.check_special_values),
    (saturates, contract.check_special_values),
    (flushes_denormals, contract.check_denormals),
    (negates_zeros, contract.check_signed_zeros),
]
