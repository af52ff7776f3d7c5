"""Environments in which Numba compiles for another vector unit than the machine's widest."""

import platform

import pytest

only_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="these are units of x86-64")

AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"}
SSE2 = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"}
# Numba can compile for it on any machine, but the code may not run there.
AVX512 = {
    "NUMBA_CPU_NAME": "skylake-avx512",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+avx512f,+avx512vl,+avx512bw,+avx512dq",
}
