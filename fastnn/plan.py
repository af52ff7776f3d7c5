"""Plan once, execute many: a step as the list of its calls.

As FFTW plans a transform, FastNN plans a step. For one batch size, each layer writes down
what is to be computed, over arrays that are allocated there and then; a step executes the
list from top to bottom. No allocation, no shape check and no decision is left in a step, and
the list can be read: ``print(net.plan(64))``.

What changes from step to step (the batch, the learning rate, random numbers) lives in small
arrays that the calls read, and that calls of the list itself move on. So a plan that is run
again is the next step, and a list whose calls are all compiled can be run many times without
Python in between.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn.kernels import Kernel
from fastnn.kernels.interface import Array
from fastnn.kernels.ops import elementwise
from fastnn.kernels.ops.elementwise import aligned_empty
from fastnn.kernels.runtime.abi import entrance
from fastnn.kernels.runtime.at_once import run_at_once
from fastnn.kernels.runtime.program import Table
from fastnn.kernels.runtime.threads import MAX_THREADS, load_threads, number_of_threads

WORTH_A_THREAD = 2**16  # elements of a pass: some microseconds, or a few times what waking takes


@dataclass(frozen=True)
class Call:
    """One line of a plan: a function, its arguments, and where it belongs.

    Attributes
    ----------
    part : str
        ``batch``, ``forward``, ``loss``, ``backward`` or ``update``.
    layer : str
        The layer that asked for it, as in ``net.parameters``; may be empty.
    name : str
        What is computed: ``matmul`` or the name of a pass.
    function : callable
    args : tuple
    flops : int
        Floating-point operations of a matrix product; 0 for the passes around it.

    """

    part: str
    layer: str
    name: str
    function: Callable[..., object]
    args: tuple[Any, ...]
    flops: int = 0

    @property
    def shapes(self) -> str:
        """The arrays it reads and writes: ``64×784 @ 784×128 → 64×128``."""
        *sources, out = ["×".join(map(str, array.shape)) for array in self._arrays]
        return (" @ " if self.name == "matmul" else ", ").join(sources) + f" → {out}"

    @property
    def bytes(self) -> int:
        """The size of the arrays it reads and writes, each once: the least there is to move."""
        return sum(array.nbytes for array in self._arrays)

    @property
    def _arrays(self) -> list[Any]:
        return [arg for arg in self.args if getattr(arg, "shape", ())]


class _Execution(NamedTuple):
    """How a list of calls is executed."""

    pieces: tuple[Callable[[], object], ...]  # functions without arguments: together, the list
    table: Table | None  # all of it, where every call is compiled
    not_compiled: tuple[str, ...]  # names of the calls that are not


class Plan:
    """The calls of a step, and the arrays between them.

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
    threads : bool
        Whether passes over large matrices are cut by rows, for several threads.

    Attributes
    ----------
    calls : list of Call
        Complete before the first run.

    """

    def __init__(
        self,
        kernel: Kernel,
        dtype: npt.DTypeLike,
        *,
        training: bool = False,
        random_state: npt.NDArray[np.uint64] | None = None,
        threads: bool = True,
    ) -> None:
        self.kernel = kernel
        self.dtype = np.dtype(dtype)
        self.training = training
        self.threads = threads
        self.random_state = np.zeros(2, np.uint64) if random_state is None else random_state
        self.calls: list[Call] = []
        self._part, self._layer = "", ""
        self._tables: list[Table] = []  # of calls that are cut for threads

    @contextmanager
    def section(self, part: str, layer: str = "") -> Iterator[None]:
        """Say where the calls written down inside belong."""
        before = self._part, self._layer
        self._part, self._layer = part, layer
        yield
        self._part, self._layer = before

    def empty(self, *shape: int) -> Array:
        """Allocate an array for what a call writes."""
        return aligned_empty(shape, self.dtype)

    def matmul(self, a: Array, b: Array, out: Array) -> None:
        """Write down ``out = a @ b``, to be done by the kernel."""
        flops = 2 * a.shape[0] * a.shape[1] * b.shape[1]
        self._add("matmul", self.kernel.compute, (a, b, out), flops)

    def call(self, function: Callable[..., object], *args: Any) -> None:  # noqa: ANN401
        """Write down ``function(*args)``; numbers are rounded to the plan's dtype."""
        rounded = (np.array(a, self.dtype)[()] if isinstance(a, float) else a for a in args)
        self._add(function.__name__, function, tuple(rounded))

    def fuse_bias(self, function: Callable[..., object], y: Array, *args: Any) -> bool:  # noqa: ANN401
        """Let the last call, if it adds a bias to `y`, do ``y = function(y, *args)`` as well.

        Returns
        -------
        bool
            Whether it does now. If not, nothing has changed.

        """
        last = self.calls[-1] if self.calls else None
        fused = elementwise.AFTER_BIAS.get(function)
        if fused is None or last is None or last.function is not elementwise.add_bias:
            return False
        bias, biased = last.args
        if biased is not y:
            return False
        self.calls.pop()
        self.call(fused, bias, *args, y)
        return True

    def _add(
        self, name: str, function: Callable[..., object], args: tuple[Any, ...], flops: int = 0
    ) -> None:
        self.calls.append(Call(self._part, self._layer, name, function, args, flops))

    @property
    def flops(self) -> int:
        """Floating-point operations of all matrix products of a step."""
        return sum(call.flops for call in self.calls)

    def run(self) -> None:
        """Execute the list, top to bottom; neighbours that are compiled without Python between."""
        for piece in self._execution.pieces:
            piece()

    @property
    def table(self) -> Table | None:
        """The whole list for compiled code to run; None where a call is not compiled."""
        return self._execution.table

    @property
    def not_compiled(self) -> tuple[str, ...]:
        """The names of the calls that only Python can make."""
        return self._execution.not_compiled

    @cached_property
    def _execution(self) -> "_Execution":
        calls = [(call, *self._entrance(call)) for call in self.calls]
        pieces: list[Callable[[], object]] = []
        tables = []
        for compiled, group in groupby(calls, lambda call: call[1] is not None):
            if compiled:
                tables.append(Table([(address, args) for _, address, args in group if address]))
                pieces.append(tables[-1].run)
            else:
                pieces += [partial(call.function, *call.args) for call, *_ in group]
        names = [call.name for call, address, _ in calls if address is None]
        whole = tables[0] if tables and len(pieces) == 1 else None
        return _Execution(tuple(pieces), whole, tuple(dict.fromkeys(names)))

    def _entrance(self, call: Call) -> tuple[int | None, tuple[Any, ...]]:
        """Return how compiled code makes a call: the address of an entrance, and what it takes."""
        if call.function is not self.kernel.compute:
            address = entrance(call.function, call.args)
            parts = _parts(call) if self.threads else []
            if address is None or len(parts) < 2:
                return address, call.args
            table = Table([(address, args) for args in parts])
            self._tables.append(table)  # nothing else keeps what its rows lead to
            rows_and_threads = table.rows, number_of_threads
            load_threads()
            return entrance(run_at_once, rows_and_threads), rows_and_threads
        if self.kernel.prepare is None:
            return None, call.args
        function, args = self.kernel.prepare(*call.args)
        return entrance(function, args, strided=True), args

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


def _parts(call: Call) -> list[tuple[Any, ...]]:
    """Return the arguments of a call for each thread that it is worth, or of all of it."""
    if call.function not in elementwise.ROW_BY_ROW:
        return [call.args]
    rows, columns = call.args[-1].shape
    count = max(1, min(rows, MAX_THREADS, rows * columns // WORTH_A_THREAD))
    cuts = [rows * i // count for i in range(count + 1)]
    return [
        tuple(arg[start:stop] if np.ndim(arg) == 2 else arg for arg in call.args)
        for start, stop in pairwise(cuts)
    ]
