"""One number of threads for the process, whoever asks and on whichever Python thread."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from threading import Event

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from fastnn import kernels
from fastnn.kernels.runtime.threads import MAX_THREADS, SPINS

try:
    import numba.np.ufunc.omppool as openmp
except ImportError:
    openmp = None
needs_openmp = pytest.mark.skipif(openmp is None, reason="OpenMP is not installed")


def _blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.parametrize("n", range(1, MAX_THREADS + 1))
def test_set_num_threads_sets_numba_and_blas(n):
    kernels.set_num_threads(n)
    assert kernels.get_num_threads() == n
    if MAX_THREADS > 1:
        assert numba.get_num_threads() == n
    assert _blas_threads() == {n}


def test_num_threads_hold_on_other_python_threads():
    kernels.set_num_threads(1)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(kernels.get_num_threads).result() == 1
        pool.submit(kernels.set_num_threads, MAX_THREADS).result()
    assert kernels.get_num_threads() == MAX_THREADS
    assert _blas_threads() == {MAX_THREADS}


@pytest.mark.parametrize("n", [0, -1, MAX_THREADS + 1])
def test_set_num_threads_refuses_others_and_names_the_range(n):
    before = kernels.get_num_threads()
    with pytest.raises(ValueError, match=f"^{n} threads .* 1 to {MAX_THREADS} are allowed"):
        kernels.set_num_threads(n)
    assert kernels.get_num_threads() == before


def test_set_num_threads_refuses_fractions():
    with pytest.raises(TypeError):
        kernels.set_num_threads(1.5)


def test_products_on_several_python_threads_at_once_are_right():
    """Small ones, large ones that share OpenMP's threads, and another number of these meanwhile."""
    kernel = kernels.get("numba")
    rng = np.random.default_rng(0)
    cases = []
    for dtype, n in product([np.float32, np.float64], [3, 60, 260]):
        a, b = (rng.standard_normal((n + i, n + 1 - i)).astype(dtype) for i in (0, 1))
        cases.append((a, b, kernel(a, b).tobytes()))
    done = Event()

    def change_the_number():
        while not done.is_set():
            for n in range(1, MAX_THREADS + 1):
                kernels.set_num_threads(n)

    def multiply(seed):
        order = np.random.default_rng(seed).integers(len(cases), size=300)
        return sum(kernel(a, b).tobytes() != c for a, b, c in (cases[i] for i in order))

    with ThreadPoolExecutor(5) as pool:
        changing = pool.submit(change_the_number)
        try:
            wrong = list(pool.map(multiply, range(4)))
        finally:
            done.set()
        changing.result()
    assert wrong == [0, 0, 0, 0]


def test_set_num_threads_on_several_python_threads_leaves_one_number():
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(kernels.set_num_threads, [1 + i % MAX_THREADS for i in range(100)]))
    assert _blas_threads() == {kernels.get_num_threads()}


NO_OPENMP = "import sys; sys.modules['numba.np.ufunc.omppool'] = None\n"
NO_TBB = "import sys; sys.modules['numba.np.ufunc.tbbpool'] = None\n"
SAID = (
    "import sys, logging; logging.basicConfig(format='%(name)s: %(message)s', stream=sys.stdout)\n"
)
HELD_TO_ONE = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from fastnn import kernels

a = np.random.default_rng(0).standard_normal((300, 300))
kernel = kernels.get("numba")
with ThreadPoolExecutor(4) as pool:  # under workqueue, two launches at once end the process
    for c in pool.map(lambda _: kernel(a, a), range(100)):
        np.testing.assert_allclose(c, a @ a)
kernels.set_num_threads(1)
print(kernels.get_num_threads())
try:
    kernels.set_num_threads(2)
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("environment", "blocked", "layer"),
    [
        ({}, NO_OPENMP + NO_TBB, "workqueue"),
        ({"NUMBA_THREADING_LAYER": "workqueue"}, "", "workqueue"),
        ({"NUMBA_THREADING_LAYER": "tbb"}, NO_TBB, "None"),
        ({"NUMBA_THREADING_LAYER": "forksafe"}, NO_TBB, "workqueue"),
        ({"NUMBA_THREADING_LAYER_PRIORITY": "workqueue omp tbb"}, "", "workqueue"),
    ],
)
def test_threads_are_held_to_one_where_the_threading_layer_is_not_safe(
    run_python, environment, blocked, layer
):
    environment = {"NUMBA_NUM_THREADS": "2"} | environment
    lines = run_python(blocked + SAID + HELD_TO_ONE, **environment).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("fastnn.kernels.runtime.threads: compiled kernels use one thread: ")
    assert f"would be {layer}" in lines[0]
    assert "libgomp" in lines[0]
    assert lines[1] == "1"
    assert lines[2].startswith("2 threads were asked for; 1 to 1 are allowed here: ")
    assert "libgomp" in lines[2]


def test_threads_say_nothing_where_one_is_all_there_is(run_python):
    assert (
        run_python(
            NO_OPENMP + NO_TBB + SAID + "from fastnn.kernels.runtime import threads",
            NUMBA_NUM_THREADS="1",
        )
        == ""
    )


@needs_openmp
@pytest.mark.parametrize("environment", [{}, {"NUMBA_THREADING_LAYER": "threadsafe"}])
def test_openmp_is_chosen_and_not_launched_by_the_import(run_python, environment):
    script = f"""
{NO_TBB}
import numba
from fastnn import kernels
try:
    numba.threading_layer()
except ValueError:
    kernels.set_num_threads(2)
    print(numba.threading_layer(), numba.get_num_threads())
"""
    assert run_python(script, NUMBA_NUM_THREADS="2", **environment) == "omp 2"


@needs_openmp
@pytest.mark.parametrize(
    ("environment", "spins"),
    [({}, SPINS), ({"GOMP_SPINCOUNT": "77"}, 77), ({"OMP_WAIT_POLICY": "PASSIVE"}, 0)],
)
def test_openmp_threads_spin_as_long_as_asked(run_python, environment, spins):
    script = """
import os
os.dup2(1, 2)  # libgomp describes itself there
before = dict(os.environ)
from fastnn.kernels.runtime import threads
assert dict(os.environ) == before
"""
    said = run_python(script, OMP_DISPLAY_ENV="verbose", **environment)
    assert f"GOMP_SPINCOUNT = '{spins}'" in said


@needs_openmp
def test_numba_num_threads_is_left_as_it_was_by_a_product(run_python):
    script = """
import numba, numpy as np
from fastnn import kernels
kernels.set_num_threads(2)
numba.set_num_threads(3)
a = np.ones((300, 300))
kernels.get("numba")(a, a)
print(kernels.get_num_threads(), numba.get_num_threads())
"""
    assert run_python(script, NUMBA_NUM_THREADS="4") == "2 3"


FORK = """
import os, threading, warnings
import numpy as np
from fastnn import kernels

# Newer Pythons warn of any fork of a process with threads.
warnings.simplefilter("ignore", DeprecationWarning)
kernel = kernels.get("numba")
a = np.random.default_rng(0).standard_normal((400, 400))

def in_child(work):
    child = os.fork()
    if not child:
        status = 1
        try:
            status = work()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
"""


@needs_openmp
def test_fork_after_openmp_was_launched_leaves_the_child_one_thread(run_python):
    script = f"""{FORK}
expected = kernel(a, a)

def work():
    assert kernels.get_num_threads() == 1
    assert (kernel(a, a) == expected).all()
    kernels.set_num_threads(1)
    try:
        kernels.set_num_threads(2)
    except ValueError as error:
        assert "1 to 1" in str(error) and "forked" in str(error) and "spawn" in str(error)
        return 0

def child_of_a_child():
    in_child(work)
    return 0

in_child(work)
in_child(child_of_a_child)
assert kernels.get_num_threads() == 2
assert (kernel(a, a) == expected).all()
print("done")
"""
    assert run_python(script, NUMBA_NUM_THREADS="2") == "done"


@needs_openmp
def test_fork_before_openmp_was_launched_leaves_the_child_all_threads(run_python):
    script = f"""{FORK}
import numba

def work():
    kernels.set_num_threads(2)
    expected = kernel(a, a)
    assert numba.threading_layer() == "omp"
    kernels.set_num_threads(1)
    assert (kernel(a, a) == expected).all()
    return 0

in_child(work)
in_child(work)
assert work() == 0
print("done")
"""
    assert run_python(script, NUMBA_NUM_THREADS="2") == "done"


@needs_openmp
def test_fork_while_other_threads_multiply(run_python):
    script = f"""{FORK}
small = a[:20, :20].copy()
expected = kernel(a, a), kernel(small, small)
done = threading.Event()

def multiply():
    while not done.is_set():
        assert (kernel(a, a) == expected[0]).all()
        kernels.set_num_threads(1)
        kernels.set_num_threads(2)

def work():
    assert (kernel(a, a) == expected[0]).all() and (kernel(small, small) == expected[1]).all()
    kernels.set_num_threads(1)
    return 0

threads = [threading.Thread(target=multiply) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(20):
    in_child(work)
done.set()
for thread in threads:
    thread.join()
print("done")
"""
    assert run_python(script, NUMBA_NUM_THREADS="2") == "done"
