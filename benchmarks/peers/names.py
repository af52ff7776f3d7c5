"""The libraries, in the order of the table's columns."""

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True)
class Library:
    """One way of doing the work.

    Parameters
    ----------
    name : str
    module : str
        In `benchmarks.peers.libraries`; may have the functions ``train``, ``fit``,
        ``loss_and_gradient`` and ``inference``.
    packages : tuple of str
        Distributions that must be installed.
    options : dict
        Keyword arguments of the module's functions, but for ``fit``.
    kinds : tuple of str
        Tasks that it takes part in, of those its module has a function for.

    """

    name: str
    module: str
    packages: tuple[str, ...]
    options: dict = field(default_factory=dict)
    kinds: tuple[str, ...] = ("training", "fit", "gradient", "inference", "memory")

    def missing(self):
        """Return the packages that are not installed."""
        return [package for package in self.packages if _version(package) is None]


FASTNN = "FastNN"
JAX_WAYS = ("JAX step", "JAX scan")  # of training; a bar and the table take the better

LIBRARIES = (
    Library(FASTNN, "with_fastnn", ("fastnn-study",)),
    Library("NumPy", "with_numpy", ("numpy",)),
    Library("PyTorch", "with_pytorch", ("torch",), {"compiled": False}),
    Library("PyTorch compiled", "with_pytorch", ("torch",), {"compiled": True}),
    Library(JAX_WAYS[0], "with_jax", ("jax",), {"scan": False}),
    Library(JAX_WAYS[1], "with_jax", ("jax",), {"scan": True}, ("training", "memory")),
    Library("scikit-learn", "with_sklearn", ("scikit-learn",)),
    Library("tinygrad", "with_tinygrad", ("tinygrad",)),
    Library("onnxruntime", "with_onnxruntime", ("onnxruntime", "onnx")),
)


def versions():
    """Return the version of each package, None where it is not installed."""
    packages = dict.fromkeys(name for library in LIBRARIES for name in library.packages)
    return {package: _version(package) for package in packages}


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None
