"""The machine code of the micro-kernel."""

import json
import re
from typing import NamedTuple

import pytest

from tests.kernels.gemm.units import AVX2, AVX512, SSE2, only_x86

SCRIPT = """
import json
import numpy as np
from numba.core.caching import NullCache
from fastnn.kernels.gemm.blocksizes import VECTORS_IN_NR, blocksizes
from fastnn.kernels.gemm.macrokernel import compile_gemm
from fastnn.kernels.runtime import compiling

compiling._cache_of = lambda function: NullCache()  # what comes from disk has no assembly
compiled = {}
for dtype in map(np.dtype, ("float32", "float64")):
    assembly = compile_gemm(dtype)._library.get_asm_str()
    compiled[dtype.name] = blocksizes(dtype.itemsize).MR, VECTORS_IN_NR, assembly
print(json.dumps(compiled))
"""


class Unit(NamedTuple):
    environment: dict[str, str]
    register: str
    arithmetic: list[str]


UNITS = {
    "AVX-512": Unit(AVX512, "zmm", ["vfmadd"]),
    "AVX2": Unit(AVX2, "ymm", ["vfmadd"]),
    "SSE2": Unit(SSE2, "xmm", ["mul", "add"]),
}


@pytest.fixture(scope="module")
def compiled(run_side_by_side):
    """Map each unit to what a process compiles for each dtype: MR, vectors in NR, assembly."""
    outputs = run_side_by_side(*((SCRIPT, unit.environment) for unit in UNITS.values()))
    return dict(zip(UNITS, map(json.loads, outputs), strict=True))


def innermost_loops(assembly, function):
    """Return the loops of a function without a loop inside, as lists of instructions.

    A loop is what lies between a label and the last jump back to it.
    """
    start = re.search(rf"^{re.escape(function)}:$", assembly, re.MULTILINE).end()
    lines = [line.strip() for line in assembly[start : assembly.index(".size", start)].splitlines()]
    places = {line.partition(":")[0]: i for i, line in enumerate(lines) if line.startswith(".LBB")}
    ends = {}
    for i, line in enumerate(lines):
        jump = re.match(r"j\w+\s+(\.LBB\w+)$", line)
        if jump and places[jump[1]] < i:
            ends[places[jump[1]]] = i
    innermost = [
        (first, last)
        for first, last in ends.items()
        if not any(first < other and end <= last for other, end in ends.items())
    ]
    return [
        [
            line for line in lines[first : last + 1] if re.match(r"\w", line)
        ]  # no labels, no directives
        for first, last in innermost
    ]


def test_innermost_loops_finds_a_loop():
    assembly = """
microkernel:
\tmovq\t8(%rsp), %rax
\tjmp\t.LBB1_1
.LBB1_1:
\tvfmadd231ps\t%zmm1, %zmm2, %zmm3
\tdecq\t%rdi
\tjne\t.LBB1_1
\tretq
.LBB1_2:
\tretq
\t.size\tmicrokernel, .Lfunc_end1-microkernel
"""
    expected = ["vfmadd231ps\t%zmm1, %zmm2, %zmm3", "decq\t%rdi", "jne\t.LBB1_1"]
    assert innermost_loops(assembly, "microkernel") == [expected]


@only_x86
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", UNITS)
def test_microkernel_step_is_vector_arithmetic_in_registers(compiled, name, dtype):
    """One multiply-add for each vector of the micro-tile, all in registers of the full width."""
    mr, vectors, assembly = compiled[name][dtype]
    _, register, arithmetic = UNITS[name]
    (loop,) = innermost_loops(assembly, f"microkernel_{dtype}_{mr}x{vectors}")
    suffix = {"float32": "ps", "float64": "pd"}[dtype]
    for operation in arithmetic:
        found = [line for line in loop if re.match(rf"{operation}\d*{suffix}\s", line)]
        assert len(found) == mr * vectors
        assert all(line.count(f"%{register}") >= 2 for line in found)
    spills = [line for line in loop if re.search(r"%[er][sb]p\b", line)]
    assert spills == []
