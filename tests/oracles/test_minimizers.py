"""SciPy's minimizers on `Sequential.objective`, where the optimum is known from elsewhere."""

import numpy as np
import pytest

from fastnn import (
    BinaryCrossEntropy,
    Dense,
    Dropout,
    MeanSquaredError,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
    evaluate,
)

optimize = pytest.importorskip("scipy.optimize", reason="SciPy is not installed")

METHODS = {
    "BFGS": {"gtol": 1e-9},
    "CG": {"gtol": 1e-9, "maxiter": 5000},
    "L-BFGS-B": {"ftol": 1e-16, "gtol": 1e-10, "maxiter": 5000},
    "Newton-CG": {"xtol": 1e-12},
    "trust-constr": {"gtol": 1e-10, "xtol": 1e-14, "maxiter": 2000},
    "TNC": {"ftol": 1e-16, "gtol": 1e-10, "maxfun": 10000},
    "SLSQP": {"ftol": 1e-15, "maxiter": 1000},
}
methods = pytest.mark.parametrize("method", METHODS)

RNG = np.random.default_rng(0)
X = RNG.normal([1, -2, 0, 0.5], size=(120, 4))
NOISE = RNG.normal(size=(120, 3))


# What a minimizer may say of a function that is flat to the last bit.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*[Pp]recision loss"),
    pytest.mark.filterwarnings("ignore:delta_grad == 0.0:UserWarning"),
]


def minimize(function, start, method, **options):
    return optimize.minimize(
        function, start, jac=True, method=method, options=METHODS[method] | options
    )


def linear(n_out=2):
    return Sequential([Dense(4, n_out)], dtype="float64")


@methods
def test_linear_regression_ends_at_the_least_squares_solution(method):
    y = X[:, :2] * [2, -1] + X[:, 2:] @ RNG.normal(size=(2, 2)) + 3 + NOISE[:, :2]
    design = np.column_stack([X, np.ones(len(X))])
    solution, residual, rank, _ = np.linalg.lstsq(design, y)
    assert rank == 5
    net = linear()
    result = minimize(net.objective(X, y, loss=MeanSquaredError()), net.parameters.flat, method)
    found = np.vstack([result.x[:8].reshape(4, 2), result.x[8:]])
    np.testing.assert_allclose(found, solution, rtol=0, atol=1e-6)
    assert result.fun == pytest.approx(residual.sum() / y.size, rel=1e-12)


@methods
def test_logistic_regression_ends_where_scikit_learns_does(method):
    linear_model = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is missing")
    y = (X @ [1, 0.5, -1, 0] + NOISE[:, 0] > 0).astype(float)
    theirs = linear_model.LogisticRegression(C=np.inf, tol=1e-10, max_iter=10000).fit(X, y)
    net = Sequential([Dense(4, 1), Sigmoid()], dtype="float64")
    result = minimize(net.objective(X, y, loss=BinaryCrossEntropy()), np.zeros(5), method)
    expected = [*theirs.coef_[0], *theirs.intercept_]
    np.testing.assert_allclose(result.x, expected, rtol=0, atol=1e-5)
    net.parameters.flat[:] = result.x
    np.testing.assert_allclose(net(X)[:, 0], theirs.predict_proba(X)[:, 1], rtol=0, atol=1e-6)


@methods
def test_multinomial_regression_ends_where_scikit_learns_does(method):
    """Of all parameters with the same probabilities, any will do."""
    linear_model = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is missing")
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is missing")
    y = (X @ RNG.normal(size=(4, 3)) + 2 * NOISE).argmax(axis=1)
    theirs = linear_model.LogisticRegression(C=np.inf, tol=1e-10, max_iter=10000).fit(X, y)
    net = Sequential([Dense(4, 3), Softmax()], dtype="float64")
    result = minimize(net.objective(X, y, loss=SoftmaxCrossEntropy()), np.zeros(15), method)
    net.parameters.flat[:] = result.x
    expected = theirs.predict_proba(X)
    np.testing.assert_allclose(net(X), expected, rtol=0, atol=1e-5)
    assert result.fun == pytest.approx(metrics.log_loss(y, expected), rel=1e-9)


def teacher():
    """Return a network, and what it makes of the samples: its weights are an optimum."""
    net = Sequential([Dense(4, 6), Tanh(), Dense(6, 2)], rng=3, dtype="float64")
    return net, net(X), net.parameters.flat.copy()


@methods
def test_a_network_finds_back_to_the_weights_that_made_its_targets(method):
    net, y, optimum = teacher()
    start = optimum + np.random.default_rng(1).normal(0, 0.02, optimum.size)
    objective = net.objective(X, y, loss=MeanSquaredError())
    assert objective(start)[0] > 1e-4
    limit = "maxfun" if method == "TNC" else "maxiter"
    result = minimize(objective, start, method, **{limit: 300})
    assert result.fun < 1e-8
    assert objective(optimum)[0] == 0
    net.parameters.flat[:] = result.x
    assert evaluate(net, X, y, loss=MeanSquaredError()).loss == pytest.approx(result.fun)


@methods
def test_iterations_are_those_on_the_same_function_in_pytorch(method):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    net, y, optimum = teacher()
    shapes = [view.shape for view in net.parameters.values()]
    ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]

    def in_torch(parameters):
        flat = torch.tensor(parameters, requires_grad=True)
        pieces = torch.tensor_split(flat, ends.tolist())
        w1, b1, w2, b2 = (p.reshape(shape) for p, shape in zip(pieces, shapes, strict=True))
        outputs = torch.tanh(torch.tensor(X) @ w1 + b1) @ w2 + b2
        value = torch.nn.functional.mse_loss(outputs, torch.tensor(y))
        value.backward()
        return float(value.detach()), flat.grad.numpy()

    start = optimum + np.random.default_rng(1).normal(0, 0.2, optimum.size)
    # Two of them divide differences of gradients by 1e-8, and rounding with them.
    few = {"TNC": {"maxfun": 10}, "Newton-CG": {"maxiter": 2}}.get(method, {"maxiter": 8})
    ours = minimize(net.objective(X, y, loss=MeanSquaredError()), start, method, **few)
    theirs = minimize(in_torch, start, method, **few)
    assert ours.nfev == theirs.nfev
    np.testing.assert_allclose(ours.x, theirs.x, rtol=0, atol=1e-6)
    assert np.abs(ours.x - start).max() > 1e-3


@pytest.mark.parametrize("method", ["BFGS", "CG", "Newton-CG", "trust-constr"])
def test_a_gradient_that_changes_afterwards_misleads_a_minimizer(method):
    """What these tests would notice: one array for all gradients, as `out` makes it."""
    net, y, optimum = teacher()
    start = optimum + np.random.default_rng(1).normal(0, 0.2, optimum.size)
    objective, out = net.objective(X, y, loss=MeanSquaredError()), np.empty_like(optimum)
    live = minimize(lambda p: objective(p, out=out), start, method, maxiter=200)
    kept = minimize(objective, start, method, maxiter=200)
    copied = minimize(lambda p: (objective(p, out=out)[0], out.copy()), start, method, maxiter=200)
    np.testing.assert_array_equal(kept.x, copied.x)
    assert live.fun > 10 * kept.fun


@pytest.mark.parametrize("loss", [MeanSquaredError(), SoftmaxCrossEntropy(), BinaryCrossEntropy()])
def test_the_gradient_is_that_of_scipys_finite_differences(loss):
    layers = [Dense(4, 7), Tanh(), Dropout(0.5), Dense(7, 5), ReLU(), Dense(5, 3)]
    net = Sequential(layers, dtype="float64")
    y = np.abs(NOISE) / np.abs(NOISE).sum(axis=1, keepdims=True)
    objective = net.objective(X, y, loss=loss)
    start = net.parameters.flat.copy()
    estimate = optimize.approx_fprime(start, lambda p: objective(p)[0], 1e-7)
    np.testing.assert_allclose(objective(start)[1], estimate, rtol=0, atol=1e-6)
    assert optimize.check_grad(lambda p: objective(p)[0], lambda p: objective(p)[1], start) < 1e-5
    assert (
        optimize.check_grad(lambda p: objective(p)[0], lambda p: 2 * objective(p)[1], start) > 0.1
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (0.0, r"parameters has shape \(\); \(10,\)"),
        (np.zeros(1), r"\(1,\); \(10,\) is needed, one number"),
        (np.zeros(9), r"\(9,\)"),
        (np.zeros(11), r"\(11,\)"),
        (np.zeros((1, 10)), r"\(1, 10\)"),
        (np.zeros((10, 1)), r"\(10, 1\)"),
        ([], r"\(0,\)"),
    ],
    ids=str,
)
def test_parameters_of_another_shape_are_refused_and_change_nothing(parameters, message):
    net = linear()
    objective = net.objective(X, NOISE[:, :2], loss=MeanSquaredError())
    before = net.parameters.flat.copy()
    with pytest.raises(ValueError, match=message):
        objective(parameters)
    with pytest.raises(ValueError, match=message.replace("parameters", "out")):
        objective(np.ones(10), out=np.asarray(parameters))
    np.testing.assert_array_equal(net.parameters.flat, before)
