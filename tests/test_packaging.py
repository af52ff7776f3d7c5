"""The wheel and the sdist: what they hold, and that the package works from them alone."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IMPORTS = """
import sys
from importlib import import_module
from pkgutil import walk_packages
import fastnn

for module in walk_packages(fastnn.__path__, "fastnn."):
    if module.name != "fastnn.__main__":
        import_module(module.name)
print(fastnn.__file__, sys.modules["fastnn.kernels"].__file__, "kernels" in sys.modules)
"""
TRAINING = """
import sys
from fastnn import Dense, Sequential, datasets, fit

digits = datasets.load("digits")
net = Sequential([Dense(64, 10)])
x, y = digits.x_train, digits.y_train
history = fit(net, x, y, loss="cross-entropy", optimizer="adam", epochs=5)
print(sys.modules["fastnn"].__file__, history[-1].accuracy > 0.5)
"""


def run(*command, **options):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(source, target, *options):
    run(sys.executable, "-m", "hatchling", "build", "-d", target, *options, cwd=source)
    return target


def installed_files():
    """Return the files of the package by the names they are installed under."""
    folders = {ROOT / "fastnn": "fastnn", ROOT / "kernels": "fastnn/kernels"}
    return {
        f"{name}/{path.relative_to(folder).as_posix()}"
        for folder, name in folders.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def in_wheel(directory):
    (wheel,) = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return wheel, {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A directory with the wheel and the sdist of the checkout."""
    return build(ROOT, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def python(built, tmp_path_factory):
    """The interpreter of an environment that holds the wheel and nothing of the checkout.

    What the package depends on is borrowed from the environment of the tests, by a path that
    comes last; its editable installation of the checkout is not, since a ``.pth`` file counts
    only in the environment's own directory.
    """
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    wheel, _ = in_wheel(built)
    options = ("--quiet", "--no-deps", "--no-index")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel)
    own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(own) / "borrowed.pth").write_text("\n".join(sorted(borrowed)))
    return python


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Variables that lead to nothing of the checkout, nor to compiled code of other runs."""
    cache = str(tmp_path_factory.mktemp("compiled"))
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | {"NUMBA_CACHE_DIR": cache}


def test_wheel_holds_the_package_and_nothing_else(built):
    _, names = in_wheel(built)
    assert names == installed_files()
    assert {"fastnn/kernels/gemm/product.py", "fastnn/kernels/py.typed"} < names
    assert {"fastnn/py.typed", "fastnn/datasets/digits.csv.gz"} < names


def test_sdist_builds_the_same_wheel(built, tmp_path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert installed_files() <= names
    assert not any(name.startswith("kernels") for name in names)
    (source,) = tmp_path.iterdir()
    _, again = in_wheel(build(source, tmp_path / "built", "-t", "wheel"))
    assert again == installed_files()


def test_wheel_imports_beside_a_users_own_kernels_module(python, environment, tmp_path):
    (tmp_path / "kernels.py").write_text("raise ImportError('the module of the user was imported')")
    *places, top_level = run(python, "-c", IMPORTS, cwd=tmp_path, env=environment).split()
    assert all(Path(place).is_relative_to(python.parents[1]) for place in places)
    assert top_level == "False"


def test_wheel_installs_no_top_level_kernels(python, environment, tmp_path):
    script = "from importlib.util import find_spec; print(find_spec('kernels'))"
    assert run(python, "-c", script, cwd=tmp_path, env=environment) == "None\n"


def test_wheel_installs_the_command(python, environment, tmp_path):
    out = run(python.with_name("fastnn"), "--help", cwd=tmp_path, env=environment)
    assert "train" in out


@pytest.mark.slow
@pytest.mark.network
def test_wheel_declares_all_that_it_depends_on(built, environment, tmp_path):
    venv.create(tmp_path / "environment", with_pip=True)
    python = tmp_path / "environment" / "bin" / "python"
    # A package without dependencies of its own: does the registry answer?
    probe = (python, "-m", "pip", "download", "--no-deps", "--dest", tmp_path, "threadpoolctl")
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no package registry answers")
    run(python, "-m", "pip", "install", "--quiet", in_wheel(built)[0])
    place, learnt = run(python, "-c", TRAINING, cwd=tmp_path, env=environment).split()
    assert Path(place).is_relative_to(tmp_path)
    assert learnt == "True"
    command = (python.with_name("fastnn"), "train", "--epochs", "1", "--json")
    run(*command, cwd=tmp_path, env=environment)


def test_link_to_kernels_is_relative_and_tracked():
    assert os.readlink(ROOT / "fastnn" / "kernels") == "../kernels"
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    mode, *_ = run("git", "ls-files", "--stage", "fastnn/kernels", cwd=ROOT).split()
    assert mode == "120000"
