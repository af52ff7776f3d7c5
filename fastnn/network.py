"""`Sequential`: layers in a row, their parameters in one vector, and plans of their steps."""

from collections import Counter
from collections.abc import Sequence
from threading import Lock

import numpy as np
import numpy.typing as npt

from fastnn import kernels, losses
from fastnn.checks import check_whole
from fastnn.data import Inputs, check_data, check_inputs
from fastnn.engine import Bound, Execution
from fastnn.inference import Predictor
from fastnn.kernels.interface import DTYPES, Array, Kernel
from fastnn.layers import Layer
from fastnn.losses import Loss, SoftmaxCrossEntropy, Targets
from fastnn.objective import Objective
from fastnn.optimizers import SGD, Optimizer
from fastnn.parameters import Parameters
from fastnn.plan import Plan


class Sequential:
    """A network: each layer's output is the next one's input.

    Parameters
    ----------
    layers : sequence of Layer
        Their sizes must fit; at least one of them has parameters.
    kernel : str or Kernel, optional
        What computes the matrix products, see `fastnn.kernels.get`.
    dtype : {"float32", "float64"}
        Of parameters, gradients and everything computed.
    rng : int or numpy.random.Generator
        Draws the weights, and seeds the layers that need random numbers.
    flush_denormals : bool
        Take numbers below the smallest normal one (1.2e-38 in float32) as 0, in training and
        inference: see `fastnn.kernels.runtime.denormals`.

    Attributes
    ----------
    parameters, gradients : Parameters
        Mappings from name (``dense_1.weights``) to a view, each with ``.flat``, the one vector
        behind its views.
    n_in, n_out : int
        Number of features of an input and of an output.

    Examples
    --------
    >>> net = Sequential([Dense(64, 32), ReLU(), Dense(32, 10)], rng=0)
    >>> net(np.zeros((5, 64))).shape
    (5, 10)

    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        kernel: str | Kernel | None = None,
        dtype: npt.DTypeLike = "float32",
        rng: int | np.random.Generator = 0,
        flush_denormals: bool = True,
    ) -> None:
        self._flush_denormals = flush_denormals
        self._planning = Lock()
        self.layers = tuple(layers)
        self.dtype: np.dtype[np.floating] = np.dtype(dtype)  # type: ignore[assignment]
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype must be float32 or float64, not {self.dtype}")
        self.names = _names(self.layers)
        self.n_in, self.n_out = _check_sizes(self.layers, self.names)
        self.kernel = kernels.get(kernel)
        self._initialize(np.random.default_rng(rng))

    def _initialize(self, rng: np.random.Generator) -> None:
        """Lay out the parameters, hand each layer its views, and draw the weights."""
        shapes = {
            f"{name}.{parameter}": shape
            for name, layer in zip(self.names, self.layers, strict=True)
            for parameter, shape in layer.parameter_shapes().items()
        }
        self.parameters = Parameters(shapes, self.dtype)
        self.gradients = Parameters(shapes, self.dtype)
        for name, layer in zip(self.names, self.layers, strict=True):
            own = list(layer.parameter_shapes())
            layer.bind(
                {parameter: self.parameters[f"{name}.{parameter}"] for parameter in own},
                {parameter: self.gradients[f"{name}.{parameter}"] for parameter in own},
            )
            for parameter in own:
                if parameter not in layer.initializers:
                    raise ValueError(f"{name} has no initializer for its parameter {parameter}")
                view = self.parameters[f"{name}.{parameter}"]
                view[...] = layer.initializers[parameter](rng, view.shape)
        self.random_state = np.array([rng.integers(2**63), 0], np.uint64)

    @property
    def kernel(self) -> Kernel:
        """What computes the matrix products; set it to a name or a Kernel at any time."""
        return self._kernel

    @kernel.setter
    def kernel(self, kernel: str | Kernel) -> None:
        self._kernel = kernels.get(kernel)
        self._predictor = self.predictor()

    @property
    def flush_denormals(self) -> bool:
        """Whether numbers below the smallest normal one count as 0; set it at any time."""
        return self._flush_denormals

    @flush_denormals.setter
    def flush_denormals(self, flush_denormals: bool) -> None:
        self._flush_denormals = flush_denormals
        self._predictor = self.predictor()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of features from the input to the output: ``(64, 32, 10)``."""
        return (self.n_in, *(layer.n_out for layer in self.layers if layer.n_out is not None))

    def __call__(self, x: npt.ArrayLike) -> Array:
        """Return the outputs ``[m, n_out]`` for the inputs ``x[m, n_in]``.

        Layers that act in training only are left out. Several Python threads may call at once.
        """
        return self._predictor(x)

    def predictor(self, batch_size: int | None = None) -> Predictor:
        """Return a callable that computes ``net(x)``, with its plan made and its ops compiled.

        Parameters
        ----------
        batch_size : int, optional
            Number of rows of every input. If not given, inputs may have any number of rows, and
            plans are made as they come.

        Returns
        -------
        Predictor
            Uses the parameters as they are at each call, and the network's present kernel.

        Raises
        ------
        ValueError
            `batch_size` is below 1.

        """
        return Predictor(self._bound, self.n_in, self.n_out, self.dtype, batch_size)

    def _bound(self, rows: int) -> Bound:
        """Return what computes the outputs for a number of rows."""
        plan = Plan(self.kernel, self.dtype)
        with self._planning:  # several threads may call, and a layer may keep arrays of its own
            plan.output(self.plan_forward(plan, plan.input(rows, self.n_in))[-1])
        execution = Execution(plan, threads=False)
        return execution.bind(flush_denormals=self.flush_denormals)

    def objective(self, x: npt.ArrayLike, y: npt.ArrayLike, *, loss: str | Loss) -> Objective:
        """Return the loss on some samples and its gradient, as a function of the parameters.

        Parameters
        ----------
        x : array-like of shape (samples, n_in)
        y : array-like
            Targets as the loss takes them.
        loss : str or Loss
            As `fastnn.fit` takes it.

        Raises
        ------
        ValueError
            The data do not fit the network or the loss, or are not finite.

        """
        loss = losses.get(loss)
        inputs, targets = self.check_data(x, y, loss)
        plan, totals = Plan(self.kernel, self.dtype), np.zeros(3)
        self.plan_gradients(plan, np.asarray(inputs), targets, loss, totals)
        return Objective(
            plan,
            totals,
            len(inputs),
            self.parameters,
            self.gradients,
            flush_denormals=self.flush_denormals,
        )

    def check_inputs(self, x: npt.ArrayLike) -> Array:
        """Return `x` as an array of shape (m, n_in), of the dtype of the network.

        Raises
        ------
        ValueError
            The shape does not fit.

        """
        return check_inputs(x, self.n_in, self.dtype)

    def check_data(self, x: npt.ArrayLike, y: npt.ArrayLike, loss: Loss) -> tuple[Inputs, Targets]:
        """Return inputs and targets as the network and the loss compute with them.

        Raises
        ------
        ValueError
            See `fastnn.data.check_data`.

        """
        inputs, targets = check_data(
            x, y, loss=loss, n_in=self.n_in, n_out=self.n_out, dtype=self.dtype
        )
        own = self.parameters.flat, self.gradients.flat
        if isinstance(inputs, np.ndarray) and any(np.may_share_memory(inputs, a) for a in own):
            inputs = inputs.copy()  # or it would change in training
        return inputs, targets

    def plan(
        self, batch_size: int, *, loss: Loss | None = None, optimizer: Optimizer | None = None
    ) -> Plan:
        """Return a training step as the list of its calls; print it to read it.

        Parameters
        ----------
        batch_size : int
        loss : Loss
            `SoftmaxCrossEntropy` where not given.
        optimizer : Optimizer
            Plain `SGD` where not given.

        """
        batch_size = check_whole("batch_size", batch_size, at_least=1)
        loss = loss or SoftmaxCrossEntropy()
        plan = self.training_plan()
        inputs = plan.zeros(batch_size, self.n_in)
        if loss.takes_labels:
            targets: Targets = np.zeros(batch_size, np.int64)
        else:
            targets = plan.zeros(batch_size, self.n_out)
        self.plan_step(plan, inputs, targets, loss, optimizer or SGD(), np.zeros(3))
        return plan

    def training_plan(self) -> Plan:
        """Return an empty plan for training."""
        return Plan(self.kernel, self.dtype, training=True, random_state=self.random_state)

    def plan_step(
        self,
        plan: Plan,
        inputs: Array,
        targets: Targets,
        loss: Loss,
        optimizer: Optimizer,
        totals: Array,
    ) -> None:
        """Write down a training step: `plan_gradients` and the update of the parameters."""
        self.plan_gradients(plan, inputs, targets, loss, totals)
        with plan.section("update"):
            optimizer.plan(plan, self.parameters.flat, self.gradients.flat)
            if plan.draws_random_numbers:
                plan.call("next_random_state", plan.random_state)

    def plan_gradients(
        self, plan: Plan, inputs: Array, targets: Targets, loss: Loss, totals: Array
    ) -> None:
        """Write down forward pass, loss and backward pass.

        Parameters
        ----------
        plan : Plan
        inputs : ndarray of shape (m, n_in)
        targets : ndarray of m rows or labels
            As `Loss.targets` gives them.
        loss : Loss
        totals : ndarray of float64, shape (3,)
            What the loss adds to, see `fastnn.kernels.ops.losses`.

        """
        outputs = self.plan_forward(plan, inputs, loss)
        with plan.section("loss"):
            gradient: Array | None = loss.plan(plan, outputs[-1], targets, totals)
        is_read_later = False  # the gradient that goes to the next layer
        first = next(i for i, layer in enumerate(self.layers) if layer.parameter_shapes())
        for i in reversed(range(first, len(outputs) - 1)):
            assert gradient is not None
            layer, x, y = self.layers[i], outputs[i], outputs[i + 1]
            plan.keep(gradient if is_read_later or not layer.works_in_place else None)
            with plan.section("backward", self.names[i]):
                gradient = layer.backward(plan, x, y, gradient, needs_dx=i > first)
            is_read_later |= layer.keeps_gradient
            if i > first:
                _check_output(f"the backward pass of {self.names[i]}", gradient, x.shape, x.dtype)

    def plan_forward(self, plan: Plan, inputs: Array, loss: Loss | None = None) -> list[Array]:
        """Write down the forward pass; return `inputs` and the output of each layer.

        A last activation that is computed as part of the `loss` is left to it.
        """
        fused = loss is not None and loss.fuses(self.layers[-1])
        layers = self.layers[:-1] if fused else self.layers
        outputs, is_read_later = [inputs], True
        plan.protect(inputs, "the network's input")
        for stream, (name, layer) in enumerate(zip(self.names, layers, strict=False)):
            layer.stream = stream  # here, since a layer without parameters may be in two networks
            x = outputs[-1]
            plan.release(None if is_read_later else x, fuses=layer.works_in_place)
            with plan.section("forward", name):
                y = layer.forward(plan, x)
            _check_output(name, y, (len(x), layer.n_out or x.shape[1]), self.dtype)
            plan.protect(y, f"the output of {name}")
            is_read_later = layer.reads_output or y is x
            outputs.append(y)
        plan.release(None)
        return outputs

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self.layers))
        return f"Sequential([{layers}], kernel={self.kernel.name!r}, dtype={self.dtype.name!r})"


def _names(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Name each layer by its type and its number among its kind: ``dense_1, relu_1, …``.

    One layer can't be used twice: what it keeps and draws is its own.
    """
    kinds: Counter[str] = Counter()
    names: list[str] = []
    for layer in layers:
        if not isinstance(layer, Layer):
            raise TypeError(f"layers must be Layer objects; got {layer!r}")
        if any(layer is other for other in layers[: len(names)]):
            raise ValueError(f"{layer} is in the network twice; build a new layer for each place")
        kind = type(layer).__name__.lower()
        kinds[kind] += 1
        names.append(f"{kind}_{kinds[kind]}")
    return tuple(names)


def _check_output(
    name: str, array: object, shape: tuple[int, ...], dtype: np.dtype[np.floating]
) -> None:
    """Check what a layer returned: compiled ops would read or write beyond a smaller array."""
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name} gives {array!r}; an array is needed")
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"{name} gives {array.dtype} of shape {array.shape}; {dtype} of shape {shape} is needed"
        )


def _check_sizes(layers: Sequence[Layer], names: Sequence[str]) -> tuple[int, int]:
    """Check that the layers fit each other; return how many features go in and come out."""
    n_in = n_out = None
    for name, layer in zip(names, layers, strict=True):
        if layer.n_in is None:
            continue
        if n_out is not None and layer.n_in != n_out:
            raise ValueError(f"{name} takes {layer.n_in} features, but {n_out} come in")
        n_in = n_in or layer.n_in
        n_out = layer.n_out
    if n_in is None or n_out is None:
        raise ValueError("a network needs a layer that says its sizes, such as Dense")
    if not any(layer.parameter_shapes() for layer in layers):
        raise ValueError("a network needs a layer with parameters, such as Dense")
    return n_in, n_out
