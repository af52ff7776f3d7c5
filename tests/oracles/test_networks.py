"""Random networks against PyTorch's autograd, and trainings against PyTorch and scikit-learn."""

import numpy as np
import pytest

from fastnn import (
    SGD,
    Adam,
    AdamW,
    BinaryCrossEntropy,
    Dense,
    Dropout,
    Layer,
    LeakyReLU,
    MeanSquaredError,
    ReLU,
    RMSprop,
    Sequential,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
    evaluate,
    fit,
)
from fastnn.datasets import load

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
functional = torch.nn.functional

RELATIVE = {"float64": 1e-12, "float32": 2e-5}
KERNELS = ["numba", "numba", "numba", "numpy", "numba-naive", "numba-blocked"]


class Identity(Layer):
    """Returns the very array that comes in."""

    def forward(self, plan, x):
        return x

    def backward(self, plan, x, y, dy, needs_dx):
        return dy


class Reversed(Layer):
    """Returns a view with the features in reverse order."""

    def forward(self, plan, x):
        return x[:, ::-1]

    def backward(self, plan, x, y, dy, needs_dx):
        return dy[:, ::-1]


TORCH_LAYERS = {
    ReLU: lambda layer, x: torch.relu(x),
    LeakyReLU: lambda layer, x: functional.leaky_relu(x, layer.negative_slope),
    Sigmoid: lambda layer, x: torch.sigmoid(x),
    Tanh: lambda layer, x: torch.tanh(x),
    Softmax: lambda layer, x: torch.softmax(x, 1),
    Dropout: lambda layer, x: x,  # which acts in training only
    Identity: lambda layer, x: x,
    Reversed: lambda layer, x: torch.flip(x, [1]),
}
TORCH_LOSSES = {
    SoftmaxCrossEntropy: functional.cross_entropy,
    BinaryCrossEntropy: functional.binary_cross_entropy_with_logits,
    MeanSquaredError: functional.mse_loss,
}


class Twin:
    """The network of the same weights in PyTorch, in float64."""

    def __init__(self, net):
        self.net = net
        self.parameters = [
            torch.tensor(view.astype(float), requires_grad=True) for view in net.parameters.values()
        ]

    def __call__(self, x, loss=None):
        """Return the outputs; without a last activation that `loss` computes."""
        layers, parameters = self.net.layers, iter(self.parameters)
        x = torch.tensor(np.asarray(x, float))
        for layer in layers[:-1] if loss and loss.fuses(layers[-1]) else layers:
            if isinstance(layer, Dense):
                x = x @ next(parameters) + next(parameters)
            else:
                x = TORCH_LAYERS[type(layer)](layer, x)
        return x

    def loss(self, x, y, loss):
        y = np.asarray(y)
        targets = torch.tensor(y if y.dtype.kind in "iu" else y.astype(float))
        return TORCH_LOSSES[type(loss)](self(x, loss), targets)

    def gradient(self, x, y, loss):
        """Return the loss, and the gradient of each parameter."""
        value = self.loss(x, y, loss)
        gradients = torch.autograd.grad(value, self.parameters)
        return float(value.detach()), [gradient.numpy() for gradient in gradients]

    @property
    def flat(self):
        return np.concatenate([p.detach().numpy().ravel() for p in self.parameters])


def random_network(rng, dtype):
    """Return a network of one to five Dense layers, with all kinds of layers between."""
    layers, width = [], int(rng.integers(1, 40))
    between = [ReLU, LeakyReLU, Sigmoid, Tanh, Softmax, Dropout, Identity, Reversed]
    for _ in range(rng.integers(1, 6)):
        n_out = int(rng.integers(1, 40))
        layers.append(Dense(width, n_out))
        layers += [kind() for kind in rng.choice(between, rng.integers(0, 3))]
        width = n_out
    if rng.random() < 0.2:
        layers.insert(0, rng.choice(between)())
    net = Sequential(layers, kernel=str(rng.choice(KERNELS)), dtype=dtype, rng=rng)
    net.parameters.flat[:] += rng.normal(0, 0.2, net.parameters.flat.size)
    return net


def random_task(rng, net):
    """Return inputs, targets and a loss that fit the network."""
    m, n = int(rng.choice([1, 2, 7, 16, 33, 64, 130])), net.n_out
    x = rng.normal(size=(m, net.n_in)) * rng.choice([0.1, 1, 3])
    losses = [SoftmaxCrossEntropy, BinaryCrossEntropy, MeanSquaredError]
    if isinstance(net.layers[-1], Sigmoid):
        losses.remove(SoftmaxCrossEntropy)
    if isinstance(net.layers[-1], Softmax):
        losses.remove(BinaryCrossEntropy)
    loss = rng.choice(losses)()
    labels, rows = rng.integers(0, n, m), rng.random((m, n)) + 1e-3
    if isinstance(loss, SoftmaxCrossEntropy):
        shares = rows / rows.sum(axis=1, keepdims=True)
        y = [labels, np.eye(n)[labels], shares][rng.integers(3)]
    elif isinstance(loss, BinaryCrossEntropy):
        y = [rows < 0.5, np.minimum(rows, 1)][rng.integers(2)].astype(float)
    else:
        y = rng.normal(size=(m, n))
    dtype = net.dtype
    return x.astype(dtype), y if y.dtype.kind == "i" else y.astype(dtype), loss


def assert_gradient(found, expected, relative):
    """Each parameter's gradient as a whole, relative to its largest number.

    What is 0 but for rounding (a bias before a softmax, say) has no size of its own, so that the
    largest of all gradients counts too.
    """
    largest = max(np.abs(gradient).max() for gradient in expected)
    for one, other in zip(found, expected, strict=True):
        tolerance = relative * (np.abs(other).max() + 1e-2 * largest)
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", RELATIVE)
@pytest.mark.parametrize("seed", range(200))
def test_a_random_network_and_its_gradient_are_those_of_autograd(seed, dtype):
    rng, relative = np.random.default_rng(seed), RELATIVE[dtype]
    net = random_network(rng, dtype)
    x, y, loss = random_task(rng, net)
    twin = Twin(net)
    expected_outputs = twin(x).detach().numpy()
    for predict in (net, net.predictor(len(x))):
        np.testing.assert_allclose(
            predict(x),
            expected_outputs,
            rtol=relative,
            atol=relative * np.abs(expected_outputs).max(),
        )
    expected, gradients = twin.gradient(x, y, loss)
    value, found = net.objective(x, y, loss=loss)()
    assert value == pytest.approx(expected, rel=relative, abs=relative * 1e-3)
    assert evaluate(net, x, y, loss=loss).loss == pytest.approx(value, rel=relative, abs=1e-9)
    sizes = np.cumsum([gradient.size for gradient in gradients])[:-1]
    found = [
        part.reshape(g.shape) for part, g in zip(np.split(found, sizes), gradients, strict=True)
    ]
    assert_gradient(found, gradients, relative)


def test_random_networks_have_gradients_to_compare():
    """No loss, gradient or kind of layer is missing, and few gradients vanish."""
    kinds, vanishing = set(), 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        net = random_network(rng, "float64")
        x, y, loss = random_task(rng, net)
        kinds |= {type(layer) for layer in net.layers} | {type(loss), net.kernel.name}
        vanishing += max(np.abs(g).max() for g in Twin(net).gradient(x, y, loss)[1]) < 1e-6
    assert kinds == {Dense, *TORCH_LAYERS, *TORCH_LOSSES, *KERNELS}
    assert vanishing <= 10


def test_a_wrong_gradient_is_not_within_the_tolerance():
    rng = np.random.default_rng(0)
    net = Sequential([Dense(4, 5), Tanh(), Dense(5, 3)], dtype="float64")
    x, y, loss = random_task(rng, net)
    _, gradients = Twin(net).gradient(x, y, loss)
    for i in range(len(gradients)):
        wrong = [g.copy() for g in gradients]
        wrong[i].flat[0] += 1e-9 * np.abs(wrong[i]).max()
        assert_gradient(gradients, gradients, RELATIVE["float64"])
        with pytest.raises(AssertionError):
            assert_gradient(wrong, gradients, RELATIVE["float64"])


class Thrice(Identity):
    """``y = x``, with a gradient that is wrong by a factor of 3."""

    def backward(self, plan, x, y, dy, needs_dx):
        plan.call("add_weight_decay", dy.reshape(-1), 2.0, dy.reshape(-1))
        return dy


def test_a_layer_with_a_wrong_gradient_is_noticed():
    net = Sequential([Dense(4, 5), Thrice(), Tanh(), Dense(5, 3)], dtype="float64")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 4)), rng.normal(size=(7, 3))
    twin = Twin(Sequential([Dense(4, 5), Tanh(), Dense(5, 3)], dtype="float64"))
    twin.parameters = Twin(net).parameters
    _, gradients = twin.gradient(x, y, MeanSquaredError())
    net.objective(x, y, loss=MeanSquaredError())()
    found = list(net.gradients.values())
    assert_gradient(found[2:], gradients[2:], 1e-12)
    with pytest.raises(AssertionError):
        assert_gradient(found, gradients, 1e-12)


OPTIMIZERS = {
    "SGD": (lambda: SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "Nesterov": (
        lambda: SGD(0.05, 0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.05, 0.9, nesterov=True),
    ),
    "RMSprop": (
        lambda: RMSprop(0.001),
        lambda p: torch.optim.RMSprop(p, 0.001, alpha=0.9, eps=1e-7),
    ),
    "Adam": (Adam, torch.optim.Adam),
    "AdamW": (AdamW, lambda p: torch.optim.AdamW(p, weight_decay=0.004)),
}


def digits():
    data = load("digits")
    return np.asarray(data.x_train, float), data.y_train


@pytest.mark.parametrize("engine", ["python", "compiled"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_hundred_steps_on_digits_in_float64_are_those_of_pytorch(name, engine):
    """With the last, smaller batches, in the orders that NumPy's generator gives."""
    x, y = digits()
    x, y = x[:600], y[:600]
    ours, theirs = OPTIMIZERS[name]
    net = Sequential([Dense(64, 30), Tanh(), Dense(30, 20), ReLU(), Dense(20, 10)], dtype="float64")
    twin, loss = Twin(net), SoftmaxCrossEntropy()
    optimizer, rng = theirs(twin.parameters), np.random.default_rng(5)
    losses, order = [], np.arange(len(x))
    for _ in range(7):
        order[:] = np.arange(len(x))
        rng.shuffle(order)
        total = 0.0
        for start in range(0, len(x), 44):  # 13 batches of 44, and one of 28
            batch = order[start : start + 44]
            optimizer.zero_grad()
            value = twin.loss(x[batch], y[batch], loss)
            value.backward()
            optimizer.step()
            total += float(value.detach()) * len(batch)
        losses.append(total / len(x))
    history = fit(
        net, x, y, loss=loss, optimizer=ours(), batch_size=44, epochs=7, rng=5, engine=engine
    )
    assert [record.loss for record in history] == pytest.approx(losses, rel=1e-12)
    np.testing.assert_allclose(net.parameters.flat, twin.flat, rtol=0, atol=1e-12)
    assert history[-1].loss < 0.8 * history[0].loss
    with torch.no_grad():
        answers = twin(x).argmax(dim=1).numpy()
    assert (net(x).argmax(axis=1) == answers).all()


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic"])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iterations")
def test_twenty_epochs_are_those_of_scikit_learns_classifier(solver, activation):
    """The same start, the same batches in the same order, and the losses of 20 epochs.

    scikit-learn takes neither weights nor an order to begin with. With ``warm_start`` a fit goes on
    from the weights there are, here set to ours; without shuffling, the order is that of the data.
    Its epsilon stands elsewhere in Adam's formula, so that both are next to nothing here.
    """
    neural_network = pytest.importorskip(
        "sklearn.neural_network", reason="scikit-learn is not installed"
    )
    x, y = digits()
    x, y = x[:500], y[:500]
    adam = solver == "adam"
    theirs = neural_network.MLPClassifier(
        (32, 16),
        activation=activation,
        solver=solver,
        alpha=0,
        batch_size=60,
        learning_rate_init=0.002 if adam else 0.1,
        max_iter=1,
        shuffle=False,
        warm_start=True,
        tol=0,
        n_iter_no_change=1000,
        epsilon=1e-300,
        momentum=0.9,
        nesterovs_momentum=True,
    )
    theirs.fit(x, y)  # makes what follows be there: weights, classes and an optimizer
    layer = {"relu": ReLU, "tanh": Tanh, "logistic": Sigmoid}[activation]
    layers = [Dense(64, 32), layer(), Dense(32, 16), layer(), Dense(16, 10), Softmax()]
    net = Sequential(layers, dtype="float64")
    for i, dense in enumerate(net.layers[::2]):
        theirs.coefs_[i][...] = dense.weights
        theirs.intercepts_[i][...] = dense.bias
    theirs.set_params(max_iter=20).fit(x, y)  # with a new optimizer
    ours = Adam(0.002, epsilon=1e-300) if adam else SGD(0.1, 0.9, nesterov=True)
    history = fit(
        net,
        x,
        y,
        loss="cross-entropy",
        optimizer=ours,
        batch_size=60,
        epochs=20,
        shuffle=False,
    )
    losses = theirs.loss_curve_[-20:]
    assert len(losses) == 20
    assert [record.loss for record in history] == pytest.approx(losses, rel=1e-10)
    assert losses[-1] < 0.8 * losses[0]
    np.testing.assert_allclose(net(x), theirs.predict_proba(x), rtol=0, atol=1e-9)
