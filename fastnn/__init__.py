"""FastNN: a neural network small enough to read, on a matrix product that can be swapped.

What this module offers is listed in its stub, ``__init__.pyi``, and imported when it is asked for,
so that the command line's help need not wait for Numba (Scientific Python's SPEC 1).
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
