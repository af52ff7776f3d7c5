"""What becomes of the micro-kernel in machine code."""

import re

import pytest

from tests.kernels.units import AVX2, AVX512, SSE2, only_x86

SCRIPT = """
import numpy as np
from numba.core.caching import NullCache
from kernels import block, compiling
from kernels.tiling import tiling

compiling._cache_of = lambda function: NullCache()  # what comes from disk has no assembly
dtype = np.dtype("{dtype}")
tiles = tiling(dtype.itemsize)
print(tiles.mr, tiles.vectors)
print(block.compile_block(dtype)._library.get_asm_str())
"""


def innermost_loops(assembly, function):
    """Return the loops of a function that are one block of code, as lists of instructions."""
    start = re.search(rf"^{re.escape(function)}:$", assembly, re.MULTILINE).end()
    body = assembly[start : assembly.index(".size", start)]
    blocks = re.split(r"^(\.L\w+):.*$", body, flags=re.MULTILINE)
    loops = []
    for label, code in zip(blocks[1::2], blocks[2::2], strict=True):
        lines = [line.strip() for line in code.splitlines()]
        lines = [line for line in lines if re.match(r"\w", line)]  # no directives, no comments
        to_label = re.compile(rf"j\w+\s+{re.escape(label)}$")
        jumps = [i for i, line in enumerate(lines) if to_label.match(line)]
        if jumps:
            loops.append(lines[: jumps[-1] + 1])
    return loops


def test_a_loop_is_found():
    assembly = """
tile:
\tmovq\t8(%rsp), %rax
.LBB1_1:
\tvfmadd231ps\t%zmm1, %zmm2, %zmm3
\tdecq\t%rdi
\tjne\t.LBB1_1
\tretq
.LBB1_2:
\tjmp\t.LBB1_1
\t.size\ttile, .Lfunc_end1-tile
"""
    expected = ["vfmadd231ps\t%zmm1, %zmm2, %zmm3", "decq\t%rdi", "jne\t.LBB1_1"]
    assert innermost_loops(assembly, "tile") == [expected]


@only_x86
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("environment", "register", "arithmetic"),
    [(AVX512, "zmm", ["vfmadd"]), (AVX2, "ymm", ["vfmadd"]), (SSE2, "xmm", ["mul", "add"])],
    ids=["AVX-512", "AVX2", "SSE2"],
)
def test_a_step_of_the_tile_is_vector_arithmetic_alone(
    run_python, environment, register, arithmetic, dtype
):
    """One multiply-add for each of its vectors, all in registers of the full width."""
    output = run_python(SCRIPT.format(dtype=dtype), **environment)
    sizes, assembly = output.split("\n", 1)
    mr, vectors = map(int, sizes.split())
    (loop,) = innermost_loops(assembly, f"tile_{dtype}_{mr}x{vectors}")
    suffix = {"float32": "ps", "float64": "pd"}[dtype]
    for operation in arithmetic:
        found = [line for line in loop if re.match(rf"{operation}\d*{suffix}\s", line)]
        assert len(found) == mr * vectors
        assert all(line.count(f"%{register}") >= 2 for line in found)
    spills = [line for line in loop if re.search(r"%[er][sb]p\b", line)]
    assert spills == []
