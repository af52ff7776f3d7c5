"""From a plan to running code: ops found, large ones cut for threads, and steps run.

Two engines run the same machine code and give the same bits. ``python`` loops over the steps, and
within a step over what is not compiled; ``compiled`` runs many steps as one call. An `Execution`
is a plan that is ready for either.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby, pairwise
from typing import Any, TypeVar

import numpy as np

from fastnn.kernels import ops
from fastnn.kernels.interface import Array
from fastnn.kernels.runtime.abi import entry_point
from fastnn.kernels.runtime.compiling import compiled
from fastnn.kernels.runtime.denormals import flushed
from fastnn.kernels.runtime.program import Line, Program
from fastnn.kernels.runtime.threads import MAX_THREADS
from fastnn.plan import ENGINES, MATMUL, MAX_STEPS_AT_ONCE, Call, Elementwise, Op, Plan

MIN_ELEMENTS_PER_THREAD = 2**16  # some microseconds, or a few times what waking a thread takes
MAX_SECONDS_AT_ONCE = 0.1  # of compiled code, in which Ctrl-C is not noticed

Function = TypeVar("Function", bound=Callable[..., object])
# Reads x[m, n_in], writes out[m, n_out]. False or a TypeError: x is not what it was made for.
Bound = Callable[[Array, Array], bool]


def op(function: Function) -> Function:
    """Compile a user's own op, for `Plan.call`, `Loss.op` and the like.

    It takes arrays, of which it writes the last, and numbers. It is compiled for the types that it
    is first called with, and called without Python in between, as FastNN's own ops are.
    """
    return compiled(function)


class Execution:
    """A plan made ready to run.

    Parameters
    ----------
    plan : Plan
        Complete.
    threads : bool
        Whether ops on large matrices are cut by rows, for several threads.

    Attributes
    ----------
    program : Program or None
        The whole plan for compiled code to run; None where a call is not compiled.
    not_compiled : tuple of str
        The names of the ops that only Python can call.

    """

    def __init__(self, plan: Plan, *, threads: bool = True) -> None:
        self.plan = plan
        lines = [(call, _lower(call, plan, threads)) for call in plan.calls]
        # Neighbours that are compiled become one program; together, the pieces are the plan.
        self._pieces: list[Callable[[], object]] = []
        programs = []
        for is_compiled, group in groupby(lines, lambda pair: pair[1] is not None):
            if is_compiled:
                programs.append(Program([line for _, line in group if line is not None]))
                self._pieces.append(programs[-1].run)
            else:
                self._pieces += [partial(_code(call.op, plan), *call.args) for call, _ in group]
        self.program = programs[0] if programs and len(self._pieces) == 1 else None
        names = [call.name for call, line in lines if line is None]
        self.not_compiled = tuple(dict.fromkeys(names))

    def run(self) -> None:
        """Run the plan once, from top to bottom."""
        for piece in self._pieces:
            piece()

    def bind(self, *, flush_denormals: bool = True) -> Bound:
        """Return a function ``run(x, out)``, which computes the plan's outputs from its inputs.

        A plan that is compiled reads `x` and writes `out` where they are.
        """
        inputs, outputs = self.plan.inputs, self.plan.outputs
        if inputs is None or outputs is None:
            raise ValueError("the plan has no declared input and output")
        if self.program is not None:
            return self.program.bind(inputs, outputs, flush_denormals=flush_denormals)

        def run(x: Array, out: Array) -> bool:
            if type(x) is not np.ndarray or x.shape != inputs.shape or x.dtype != inputs.dtype:
                return False
            with flushed(flush_denormals):
                inputs[...] = x
                self.run()
                out[...] = outputs
            return True

        return run


def _code(what: Op, plan: Plan) -> Callable[..., object]:
    """Return the code of an op."""
    if what == MATMUL:
        return plan.kernel.compute
    if isinstance(what, Elementwise):
        function = what.function
        if isinstance(function, str):
            function = ops.function(function)
        make: Callable[..., Callable[..., object]] = getattr(ops, what.maker)
        return make(function)
    return ops.get(what) if isinstance(what, str) else what


def _lower(call: Call, plan: Plan, threads: bool) -> Line | Program | None:
    """Return how compiled code makes a call; None if it can't."""
    if call.op == MATMUL:
        if plan.kernel.prepare is None:
            return None
        function, args = plan.kernel.prepare(*call.args)
        return _line(entry_point(function, args, strided=True), args)
    address = entry_point(_code(call.op, plan), call.args)
    parts = _cut(call) if threads else [call.args]
    if address is None or len(parts) == 1:
        return _line(address, call.args)
    return Program([(address, part) for part in parts])


def _line(address: int | None, args: Sequence[object]) -> Line | None:
    return None if address is None else (address, args)


def _cut(call: Call) -> list[tuple[Any, ...]]:
    """Return the arguments of a call, cut by rows for the threads that it pays to wake."""
    matrices = [arg for arg in call.args if np.ndim(arg) == 2]
    if not isinstance(call.op, Elementwise) or not matrices:
        return [call.args]
    rows, columns = matrices[-1].shape
    count = max(1, min(rows, MAX_THREADS, rows * columns // MIN_ELEMENTS_PER_THREAD))
    cuts = [rows * i // count for i in range(count + 1)]
    return [
        tuple(arg[start:stop] if np.ndim(arg) == 2 else arg for arg in call.args)
        for start, stop in pairwise(cuts)
    ]


class Steps:
    """Runs the steps of a training, by the engine that was asked for.

    Parameters
    ----------
    engine : {"auto", "python", "compiled"}
    executions : sequence of Execution
        All that are going to be run.
    begin_steps : callable
        Called with a number of steps before they are run.
    after_step : sequence of callables
        Called after each step.

    Attributes
    ----------
    engine : {"python", "compiled"}
        The one that is used.

    Raises
    ------
    ValueError
        The engine is unknown, or not possible here.

    """

    def __init__(
        self,
        engine: str,
        executions: Sequence[Execution],
        begin_steps: Callable[[int], object],
        after_step: Iterable[Callable[[], object]] = (),
    ) -> None:
        self._begin_steps, self._after_step = begin_steps, tuple(after_step)
        self.engine = _choose(engine, executions, bool(self._after_step))
        self._steps_at_once = 1

    def run(self, execution: Execution, steps: int) -> None:
        """Run an execution a number of times."""
        if self.engine == "compiled":
            self._run_compiled(execution, steps)
            return
        for _ in range(steps):
            self._begin_steps(1)
            execution.run()
            for call in self._after_step:
                call()

    def _run_compiled(self, execution: Execution, steps: int) -> None:
        """Run steps without Python between, but for a moment every tenth of a second (Ctrl-C)."""
        assert execution.program is not None
        while steps:
            count = min(steps, self._steps_at_once)
            self._begin_steps(count)
            began = time.perf_counter()
            execution.program.run(count)
            per_step = (time.perf_counter() - began) / count
            affordable = int(MAX_SECONDS_AT_ONCE / max(per_step, 1e-9))
            self._steps_at_once = min(max(affordable, 1), MAX_STEPS_AT_ONCE)
            steps -= count


def _choose(engine: str, executions: Sequence[Execution], calls_python: bool) -> str:
    """Return ``compiled`` or ``python``; ValueError if it can't be the `engine` asked for."""
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; there are: {', '.join(ENGINES)}")
    if engine == "python":
        return engine
    reason = "a callback has on_step" if calls_python else ""
    for execution in executions:
        if execution.program is None:
            names, kernel = ", ".join(execution.not_compiled), execution.plan.kernel.name
            reason = f"{names} can't be called from compiled code (kernel {kernel})"
    if reason and engine == "compiled":
        raise ValueError(f"engine 'compiled' is not possible: {reason}")
    return "python" if reason else "compiled"
