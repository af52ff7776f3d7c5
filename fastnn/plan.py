"""Plan once, execute many: a step as the list of its calls.

As FFTW plans a transform, FastNN plans a step. For one batch size, each layer writes down
what is to be computed, over arrays that are allocated there and then; a step executes the
list from top to bottom. No allocation, no shape check and no decision is left in a step, and
the list can be read: ``print(net.plan(64))``.

What changes from step to step (the batch, the learning rate, random numbers) lives in small
arrays that the calls read, and that calls of the list itself move on. So a plan that is run
again is the next step, and a list whose calls are all compiled can be run many times without
Python in between.

A plan knows operations by name. Which code does them is settled when it is made ready to run
(`fastnn.engine`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn.kernels.arrays import RandomState, aligned_zeros
from fastnn.kernels.interface import Array, Kernel

Function: TypeAlias = str | Callable[..., float]  # of one number: a name, or a user's own


class Elementwise(NamedTuple):
    """An op made of a function of one number, see `fastnn.kernels.ops.elementwise`.

    Attributes
    ----------
    maker : str
        ``elementwise``, ``after_bias``, ``gradient`` or ``gradient_of_input``.
    function : str or callable

    """

    maker: str
    function: Function

    @property
    def name(self) -> str:
        """What a listing calls it: ``relu``, ``add_bias``, ``add_bias_relu``, ``relu_gradient``."""
        name = self.function if isinstance(self.function, str) else self.function.__name__
        if self.maker != "after_bias":
            return name
        return "add_bias" if name == "identity" else f"add_bias_{name}"


Op: TypeAlias = str | Elementwise | Callable[..., object]

MATMUL = "matmul"
ENGINES = ("auto", "python", "compiled")  # what may run a plan, see `fastnn.fit`
MAX_STEPS_AT_ONCE = 1024  # for which what changes from step to step is known ahead


def _overwrites(op: Op) -> bool:
    """Return whether an op is known to write all of its last array, and to read none of it.

    A user's own may leave some of it as it was, which is 0.
    """
    if isinstance(op, Elementwise):
        return op.maker == "elementwise"
    return op in (MATMUL, "copy_rows", "softmax", "dropout")


def _name(op: Op) -> str:
    if isinstance(op, str):
        return op
    return op.name if isinstance(op, Elementwise) else getattr(op, "__name__", type(op).__name__)


@dataclass(frozen=True)
class Call:
    """One line of a plan: an op, its arguments, and where it belongs.

    Attributes
    ----------
    part : str
        ``batch``, ``forward``, ``loss``, ``backward`` or ``update``.
    layer : str
        The layer that asked for it, as in ``net.parameters``; may be empty.
    op : str, Elementwise or callable
        ``matmul``, the name of an op in `fastnn.kernels.ops`, or a function.
    args : tuple
        The last array among them is written.
    flops : int
        Floating-point operations of a matrix product; 0 for all other ops.

    """

    part: str
    layer: str
    op: Op
    args: tuple[Any, ...]
    flops: int = 0

    @property
    def name(self) -> str:
        """What is computed."""
        return _name(self.op)

    @property
    def shapes(self) -> str:
        """The arrays it reads and writes: ``64×784 @ 784×128 → 64×128``."""
        if not self.arrays:
            return ""
        *sources, out = ["×".join(map(str, array.shape)) for array in self.arrays]
        return (" @ " if self.op == MATMUL else ", ").join(sources) + f" → {out}"

    @property
    def bytes(self) -> int:
        """The size of the arrays it reads and writes, each once: the minimum to be moved."""
        return sum(array.nbytes for array in self.arrays)

    @property
    def out(self) -> Any:  # noqa: ANN401
        """The array that is written."""
        return self.arrays[-1]

    @property
    def arrays(self) -> list[Any]:
        """The arrays among its arguments."""
        return [arg for arg in self.args if getattr(arg, "shape", ())]


class Plan:
    """The calls of a step, and the arrays between them.

    Operations are methods: `matmul`, `add_bias`, `activate` and so on, and `call` for all others.

    Parameters
    ----------
    kernel : Kernel
        Computes the matrix products.
    dtype : dtype-like
        Of every array that the plan allocates.
    training : bool
        Whether layers that act in training only (dropout) take part.
    random_state : ndarray of uint64, shape (2,)
        Seed and step, for layers that need random numbers.

    Attributes
    ----------
    calls : list of Call
        Complete before the first run.
    inputs, outputs : ndarray or None
        What was declared by `input` and `output`.
    draws_random_numbers : bool
        Whether a layer has asked for `random_state`.

    """

    def __init__(
        self,
        kernel: Kernel,
        dtype: npt.DTypeLike,
        *,
        training: bool = False,
        random_state: RandomState | None = None,
    ) -> None:
        self.kernel = kernel
        self.dtype = np.dtype(dtype)
        self.training = training
        self._random_state = np.zeros(2, np.uint64) if random_state is None else random_state
        self.draws_random_numbers = False
        self.calls: list[Call] = []
        self.inputs: Array | None = None
        self.outputs: Array | None = None
        self._part, self._layer = "", ""
        self._allocated: list[Array] = []
        self._protected: list[tuple[Array, str]] = []  # what no call may write, and what it is
        self._free: Array | None = None  # read by nothing but the next layer
        self._fuses = True  # whether that is an activation, and not a layer that has one
        self._kept: Array | None = None  # a gradient that may be read later on
        self._streams: set[int] = set()

    @property
    def random_state(self) -> RandomState:
        """Seed and step: all that random numbers may depend on, besides a layer's ``stream``.

        A plan that hands it out draws random numbers, and each of its steps moves it on.
        """
        self.draws_random_numbers = True
        return self._random_state

    def own_stream(self, stream: int) -> int:
        """Return a number of its own for what draws random numbers: `stream`, if it is not taken.

        A layer that is part of another one has no ``stream`` from the network.
        """
        while stream in self._streams:
            stream += 2**32
        self._streams.add(stream)
        return stream

    @contextmanager
    def section(self, part: str, layer: str = "") -> Iterator[None]:
        """Say where the calls written down inside belong."""
        before = self._part, self._layer
        self._part, self._layer = part, layer
        yield
        self._part, self._layer = before

    def zeros(self, *shape: int) -> Array:
        """Allocate an array for what a call writes; until then it holds zeros."""
        array = aligned_zeros(shape, self.dtype)
        self._allocated.append(array)
        return array

    def input(self, *shape: int) -> Array:
        """Allocate and declare the input, whose place another array takes in each run."""
        self.inputs = aligned_zeros(shape, self.dtype)
        return self.inputs

    def output(self, y: Array) -> Array:
        """Declare what a run is for, and return it: `y`, or a copy that a call makes.

        A copy is needed where `y` is the input, a part or a transpose of an array, or parameters,
        and where calls may leave some of it unwritten.
        """
        own = any(y is array for array in self._allocated)
        writers = [call.op for call in self.calls if any(y is out for out in call.arrays[-1:])]
        if not own or not writers or not _overwrites(writers[0]):
            copy = self.zeros(*y.shape)
            self.call("copy_rows", y, copy)
            y = copy
        self.outputs = y
        return y

    def protect(self, array: Array, what: str) -> None:
        """Say that no call may write to an array from now on, since somebody else reads it."""
        self._protected.append((array, what))

    def release(self, y: Array | None, *, fuses: bool = True) -> None:
        """Say that nothing but the next layer is going to read `y`, which it may overwrite.

        Where that `fuses`, an activation shares one op with the bias that has been added to `y`.
        """
        self._free, self._fuses = y, fuses

    def keep(self, dy: Array | None) -> None:
        """Say that others may read a gradient, so that `writable` copies it."""
        self._kept = dy

    def matmul(self, a: Array, b: Array, out: Array) -> None:
        """Write down ``out = a @ b``, to be done by the kernel."""
        (m, k), n = a.shape, b.shape[1]
        self._check_fit(MATMUL, b.shape == (k, n) and out.shape == (m, n), a, b, out)
        if any(np.shares_memory(out, operand) for operand in (a, b)):
            raise ValueError(f"{self._layer or 'a call'}: a product can't be done in place")
        self._check_writes(MATMUL, out)
        self._add(MATMUL, (a, b, out), flops=2 * m * k * n)

    def add_bias(self, bias: Array, y: Array) -> None:
        """Write down ``y += bias`` for each row of ``y[m, n]``."""
        self._check_fit("add_bias", bias.shape == y.shape[1:], bias, y)
        self.call(Elementwise("after_bias", "identity"), bias, y)

    def sum_rows(self, dy: Array, d_bias: Array) -> None:
        """Write down ``d_bias = sum(dy)`` over the rows of ``dy[m, n]``."""
        self._check_fit("sum_rows", d_bias.shape == dy.shape[1:], dy, d_bias)
        self.call("sum_rows", self.contiguous(dy), d_bias)

    def activate(
        self, function: Function, x: Array, *parameters: float, in_place: bool = False
    ) -> Array:
        """Write down ``y = function(x, *parameters)`` for each element, and return ``y``.

        Parameters
        ----------
        function : str or callable
            Of one number and the parameters: a name in `fastnn.kernels.ops.activations`, or a
            user's own function, which is compiled.
        x : ndarray of shape (m, n)
        *parameters : float
        in_place : bool
            Whether ``y`` may be ``x`` itself, where the layer before has done with it. The
            function then shares one op with the bias that was added just before.

        """
        if in_place and self._fuses_with_bias(x):
            bias, *_ = self.calls.pop().args
            self.call(Elementwise("after_bias", function), bias, x, *parameters)
            return x
        y = self.zeros(*x.shape)
        self.call(Elementwise("elementwise", function), self.contiguous(x), y, *parameters)
        return y

    def activate_gradient(self, function: Function, *arrays: Array, parameters: Any = ()) -> Array:  # noqa: ANN401
        """Write down what turns ``dy`` into ``dx``, in place where nothing else reads ``dy``.

        Parameters
        ----------
        function : str or callable
            ``function(y, dy, *parameters)`` or ``function(x, y, dy, *parameters)``, of numbers.
        *arrays : ndarray of shape (m, n)
            ``y, dy`` or ``x, y, dy``.
        parameters : tuple of float

        """
        self._check_fit(
            _name(Elementwise("gradient", function)), len({a.shape for a in arrays}) == 1, *arrays
        )
        *sources, dy = *map(self.contiguous, arrays[:-1]), self.writable(arrays[-1])
        maker = "gradient" if len(sources) == 1 else "gradient_of_input"
        self.call(Elementwise(maker, function), *sources, dy, *parameters)
        return dy

    def contiguous(self, x: Array) -> Array:
        """Return `x` if it is C-contiguous, otherwise a copy that a call makes."""
        return x if x.flags.c_contiguous else self._copy(x)

    def writable(self, x: Array) -> Array:
        """Return `x` if it is C-contiguous and not kept, otherwise a copy that a call makes."""
        return self._copy(x) if x is self._kept else self.contiguous(x)

    def _copy(self, x: Array) -> Array:
        copy = self.zeros(*x.shape)
        self.call("copy_rows", x, copy)
        return copy

    def call(self, op: Op, *args: Any) -> None:  # noqa: ANN401
        """Write down ``op(*args)``; numbers are rounded to the plan's dtype.

        Parameters
        ----------
        op : str or callable
            The name of an op in `fastnn.kernels.ops`, or a function: one that is compiled
            (`fastnn.op`), or any other, which is called from Python.
        *args
            Arrays, of which the last one is written, and numbers.

        """
        arrays = [arg for arg in args if isinstance(arg, np.ndarray)]
        if arrays:
            self._check_writes(op, arrays[-1])
        rounded = (np.array(a, self.dtype)[()] if isinstance(a, float) else a for a in args)
        self._add(op, tuple(rounded))

    def _check_fit(self, op: str, fits: bool, *arrays: Array) -> None:
        if not fits:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ValueError(f"{self._layer or 'a call'}: shapes do not fit {op}: {shapes}")

    def _check_writes(self, op: Op, out: Array) -> None:
        if self._part == "update":  # all that reads the parameters has been done
            return
        for array, what in reversed(self._protected):  # the newest says most
            if np.may_share_memory(array, out) and array is not self._free:
                raise ValueError(
                    f"{self._layer or 'a call'} writes to {what} by {_name(op)}, where others read "
                    "it: write to an array of plan.zeros, and return that"
                )

    def _add(self, op: Op, args: tuple[Any, ...], flops: int = 0) -> None:
        self.calls.append(Call(self._part, self._layer, op, args, flops))

    def _fuses_with_bias(self, x: Array) -> bool:
        """Return whether the last call adds a bias to `x`, which nothing else reads."""
        if not self.calls or self._free is not x or not self._fuses:
            return False
        last = self.calls[-1]
        return last.op == Elementwise("after_bias", "identity") and last.args[1] is x

    @property
    def flops(self) -> int:
        """Floating-point operations of all matrix products of a step."""
        return sum(call.flops for call in self.calls)

    def __str__(self) -> str:
        header = ("part", "layer", "call", "shapes", "flops")
        rows = [header] + [
            (call.part, call.layer, call.name, call.shapes, f"{call.flops:,}" if call.flops else "")
            for call in self.calls
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if title == "flops" else cell.ljust(width)
                for title, cell, width in zip(header, row, widths, strict=True)
            ).rstrip()
            for row in rows
        ]
        total = f"{len(self.calls)} calls, {self.flops:,} flops in matrix products"
        return "\n".join([*lines, f"{total}; kernel {self.kernel.name}, {self.dtype}"])

    __repr__ = __str__
