"""The ladder of kernels; `kernels.get`, which finds them and others; entry points."""

import json
import sys

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels import Kernel

LADDER = ("naive", "blocked", "numba-naive", "numba-blocked", "numba", "numpy")
WITHOUT_COMPILER = [name for name in LADDER if name != "numba"]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution with these entry points on the path, as pip would."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "foreign_kernels", raising=False)
    (tmp_path / "foreign_kernels.py").write_text(
        "import numpy as np\n"
        "from fastnn.kernels import Kernel\n"
        "einsum = Kernel('einsum', 'np.einsum',"
        " lambda a, b, out: np.einsum('ik,kj->ij', a, b, out=out))\n"
        "numpy = Kernel('numpy', 'an impostor', einsum.compute)\n"
        "function = einsum.compute\n"
    )

    def install(distribution="foreign", **entry_points):
        metadata = tmp_path / f"{distribution}-1.0.dist-info"
        metadata.mkdir()
        metadata.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        lines = [f"{name} = foreign_kernels:{value}" for name, value in entry_points.items()]
        metadata.joinpath("entry_points.txt").write_text(
            "\n".join(["[fastnn.kernels]", *lines, ""])
        )

    return install


def test_names_are_the_ladder_in_order():
    assert tuple(kernels.LADDER) == LADDER
    assert kernels.names()[: len(LADDER)] == LADDER


@pytest.mark.parametrize("name", LADDER)
def test_each_rung_describes_itself(name):
    kernel = kernels.get(name)
    assert kernel.name == name
    assert kernel.summary
    assert "\n" not in kernel.summary
    assert kernel.threaded == (name in ("numba", "numpy"))
    assert kernel.needs_compiler == (name == "numba")
    assert kernel.max_multiplications >= 64 * 64 * 64


def test_get_returns_a_kernel_as_it_is():
    kernel = Kernel("mine", "", np.matmul)
    assert kernels.get(kernel) is kernel


@pytest.mark.parametrize(
    ("environment", "expected"), [(None, "numba"), ("", "numba"), ("naive",) * 2]
)
def test_get_without_a_name_takes_the_default(monkeypatch, environment, expected):
    monkeypatch.delenv("FASTNN_KERNEL", raising=False)
    if environment is not None:
        monkeypatch.setenv("FASTNN_KERNEL", environment)
    assert kernels.default() == expected
    assert kernels.get().name == expected


def test_get_takes_a_file_and_so_does_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\nfrom fastnn.kernels import Kernel\nMINE = Kernel('m', '', np.matmul)\n"
    )
    assert kernels.get(f"{file}:MINE").name == "m"
    monkeypatch.setenv("FASTNN_KERNEL", f"{file}:MINE")
    assert kernels.get().name == "m"
    del sys.modules["_fastnn_file_mine"]


def test_get_an_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match=r"'cublas'.*naive, blocked, numba-naive.*numpy"):
        kernels.get("cublas")


@pytest.mark.parametrize("wrong", [7, np.matmul, Kernel])
def test_get_refuses_what_is_neither_kernel_nor_name(wrong):
    with pytest.raises(ValueError, match="a Kernel or named by a string"):
        kernels.get(wrong)


def test_entry_point_adds_a_kernel(install):
    install(einsum="einsum")
    assert kernels.names() == (*LADDER, "einsum")
    kernel = kernels.get("einsum")
    assert isinstance(kernel, Kernel)
    np.testing.assert_array_equal(kernel(np.eye(2), np.eye(2)), np.eye(2))


def test_entry_point_cannot_replace_a_rung(install):
    install(numpy="numpy")
    assert kernels.names() == LADDER
    assert kernels.get("numpy").summary != "an impostor"


def test_entry_point_that_is_not_a_kernel(install):
    install(function="function")
    with pytest.raises(ValueError, match=r"foreign_kernels:function is a function; a Kernel is ne"):
        kernels.get("function")


def test_entry_point_under_another_name(install):
    install(fast="einsum")
    with pytest.raises(ValueError, match=r"calls itself 'einsum'; its entry point says 'fast'"):
        kernels.get("fast")


def test_two_entry_points_of_one_name(install):
    install("foreign", einsum="einsum")
    install("stranger", einsum="einsum")
    assert kernels.names() == (*LADDER, "einsum")
    with pytest.raises(ValueError, match=r"more than one place: .*foreign.*stranger"):
        kernels.get("einsum")


def test_importing_kernels_loads_no_numba(run_python):
    script = (
        "import sys; from fastnn import kernels; kernels.names(); print('numba' in sys.modules)"
    )
    assert run_python(script) == "False"


def test_get_compiles_nothing(run_python, tmp_path):
    script = """
from numba.core import event

with event.install_recorder("numba:compile") as recorder:
    from fastnn import kernels
    for name in kernels.names():
        kernels.get(name)
    assert not recorder.buffer, recorder.buffer
    import numpy
    kernels.get("numba-naive")(numpy.eye(2), numpy.eye(2))
    print(bool(recorder.buffer))  # the recorder does see compilations
"""
    assert run_python(script, NUMBA_CACHE_DIR=str(tmp_path)) == "True"


@pytest.fixture(scope="module")
def without_compiler(run_python):
    """Return what each rung says of a product in a process with NUMBA_DISABLE_JIT."""
    script = """
import json
import numpy as np
from fastnn import kernels

a = np.arange(12, dtype=np.float32).reshape(3, 4) - 5
said = {}
for name in kernels.LADDER:
    try:
        said[name] = kernels.get(name)(a, a.T).tolist()
    except ValueError as error:
        said[name] = str(error)
print(json.dumps(said))
"""
    return json.loads(run_python(script, NUMBA_DISABLE_JIT="1"))


@pytest.mark.parametrize("name", WITHOUT_COMPILER)
def test_rung_computes_without_the_compiler(without_compiler, name):
    a = np.arange(12).reshape(3, 4) - 5
    assert without_compiler[name] == (a @ a.T).tolist()


def test_numba_says_that_it_needs_the_compiler(without_compiler):
    said = without_compiler["numba"]
    assert "\n" not in said
    assert "kernel numba needs Numba's compiler, which NUMBA_DISABLE_JIT turns off" in said
    assert ", ".join(WITHOUT_COMPILER[:-1]) in said
