"""The libraries, one module each, in the order of the table's columns.

A module has a function for each kind of task that the library does, which takes a `Problem`.
``training(problem, on_epoch)`` trains without end: it calls ``on_epoch()`` when it is ready for the
first epoch, and ``on_epoch(loss)`` after each. ``denormals`` says what becomes of denormal numbers.
``gradient``, ``inference`` and ``fit`` return the function that is timed, which returns the loss
and the gradients, the outputs, or the loss of each epoch. ``process`` returns a command that prints
its test accuracy. ``memory`` trains for an epoch; without it, ``training`` does. A library that can
both keep denormal numbers and flush them to 0 does so in two processes.
"""

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True)
class Library:
    """One way of doing the work.

    Parameters
    ----------
    name : str
    module : str
    packages : tuple of str
        Distributions that must be installed.
    kinds : tuple of str
        Of the tasks that it does.
    options : dict
        Keyword arguments of the module's functions.
    column : str, optional
        Of the table, where the fastest of several ways is shown; the name without.

    """

    name: str
    module: str
    packages: tuple[str, ...]
    kinds: tuple[str, ...]
    options: dict = field(default_factory=dict)
    column: str = ""

    def missing(self):
        """Return the packages that are not installed."""
        return [package for package in self.packages if _version(package) is None]


FASTNN = "FastNN"
ALL = ("training", "gradient", "inference", "memory")
TRAINING, EPOCH = ("training", "epoch", "memory"), ("epoch",)
LIBRARIES = (
    Library(FASTNN, "with_fastnn", ("fastnn-study",), (*ALL, "epoch", "fit", "process")),
    Library(
        "FastNN keeping",
        "with_fastnn",
        ("fastnn-study",),
        EPOCH,
        {"flush_denormals": False},
        FASTNN,
    ),
    Library("NumPy", "with_numpy", ("numpy",), (*ALL, "epoch")),
    Library("PyTorch", "with_pytorch", ("torch",), (*ALL, "epoch"), {"compiled": False}),
    Library("PyTorch flushing", "with_pytorch", ("torch",), EPOCH, {"flush": True}, "PyTorch"),
    Library("PyTorch compiled", "with_pytorch", ("torch",), ALL, {"compiled": True}),
    Library("JAX step", "with_jax", ("jax",), ALL, {"scan": False}, "JAX"),
    Library("JAX scan", "with_jax", ("jax",), TRAINING, {"scan": True}, "JAX"),
    Library("scikit-learn", "with_sklearn", ("scikit-learn",), (*TRAINING, "process")),
    Library("tinygrad", "with_tinygrad", ("tinygrad",), ("training", "inference", "memory")),
    Library("onnxruntime", "with_onnxruntime", ("onnxruntime", "onnx"), ("inference",)),
)
COLUMNS = {library.name: library.column or library.name for library in LIBRARIES}


def versions():
    """Return the version of each package, None where it is not installed."""
    packages = dict.fromkeys(name for library in LIBRARIES for name in library.packages)
    return {package: _version(package) for package in packages}


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None
