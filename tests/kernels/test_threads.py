"""One number of threads for the process, whoever asks and on whichever Python thread."""

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info

import kernels
from kernels.threads import MAX_THREADS


def _blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.parametrize("n", range(1, MAX_THREADS + 1))
def test_one_number_for_numba_and_blas(n):
    kernels.set_num_threads(n)
    assert kernels.get_num_threads() == n
    assert numba.get_num_threads() == n
    assert _blas_threads() == {n}


def test_the_number_holds_on_other_python_threads():
    kernels.set_num_threads(1)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(kernels.get_num_threads).result() == 1
        pool.submit(kernels.set_num_threads, MAX_THREADS).result()
    assert kernels.get_num_threads() == MAX_THREADS
    assert _blas_threads() == {MAX_THREADS}


@pytest.mark.parametrize("n", [0, -1, MAX_THREADS + 1])
def test_refused_with_the_allowed_range(n):
    before = kernels.get_num_threads()
    with pytest.raises(ValueError, match=f"^{n} threads .* 1 to {MAX_THREADS} are allowed"):
        kernels.set_num_threads(n)
    assert kernels.get_num_threads() == before


def test_no_fractions():
    with pytest.raises(TypeError):
        kernels.set_num_threads(1.5)


def test_products_on_several_python_threads_at_once():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((130, 100)), rng.standard_normal((100, 60))
    kernel = kernels.get("numba")
    expected = kernel(a, b)
    if numba.threading_layer() == "workqueue":
        pytest.skip("Numba's workqueue layer ends the process here; OpenMP is not installed")
    with ThreadPoolExecutor(4) as pool:
        for c in pool.map(lambda _: kernel(a, b), range(200)):
            np.testing.assert_array_equal(c, expected)


@pytest.mark.parametrize(
    ("environment", "layer"),
    [({}, "omp"), ({"NUMBA_THREADING_LAYER": "workqueue"}, "workqueue")],
)
def test_threading_layer(run_python, environment, layer):
    omp = pytest.importorskip("numba.np.ufunc.omppool", reason="OpenMP is not installed")
    assert omp
    script = """
import numba, kernels
kernels.set_num_threads(1)
print(numba.threading_layer())
"""
    assert run_python(script, **environment) == layer
