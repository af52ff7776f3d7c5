"""The table of kernels, and the way into it for other packages."""

import sys

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels import Kernel

LADDER = ("naive", "blocked", "numba-naive", "numba-blocked", "numba", "numpy")


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


def test_the_ladder_in_order():
    assert kernels.names()[: len(LADDER)] == LADDER


@pytest.mark.parametrize("name", LADDER)
def test_each_rung_describes_itself(name):
    kernel = kernels.get(name)
    assert kernel.name == name
    assert kernel.summary
    assert "\n" not in kernel.summary
    assert kernel.threaded == (name in ("numba", "numpy"))
    assert kernel.max_multiplications >= 64 * 64 * 64


def test_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match=r"'cublas'.*naive, blocked, numba-naive.*numpy"):
        kernels.get("cublas")


def test_installed_kernel(install):
    install(einsum="einsum")
    assert kernels.names() == (*LADDER, "einsum")
    kernel = kernels.get("einsum")
    assert isinstance(kernel, Kernel)
    np.testing.assert_array_equal(kernel(np.eye(2), np.eye(2)), np.eye(2))


def test_installed_kernel_cannot_replace_a_rung(install):
    install(numpy="numpy")
    assert kernels.names() == LADDER
    assert kernels.get("numpy").summary != "an impostor"


def test_entry_point_that_is_no_kernel(install):
    install(function="function")
    with pytest.raises(
        TypeError, match=r"foreign_kernels:function of foreign is a function.*Kernel"
    ):
        kernels.get("function")


def test_entry_point_under_another_name(install):
    install(fast="einsum")
    with pytest.raises(TypeError, match=r"calls itself 'einsum'.*calls it 'fast'"):
        kernels.get("fast")


def test_two_entry_points_of_one_name(install):
    install("foreign", einsum="einsum")
    install("stranger", einsum="einsum")
    assert kernels.names() == (*LADDER, "einsum")
    with pytest.raises(ValueError, match=r"more than one place: .*foreign.*stranger"):
        kernels.get("einsum")


def test_import_compiles_nothing(run_python, tmp_path):
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
