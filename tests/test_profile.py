"""`fastnn.profile`: figures that add up, of a step that is not changed by it."""

import numpy as np
import pytest

from fastnn import Adam, Dense, ReLU, Sequential
from fastnn.profile import profile


@pytest.mark.parametrize("kernel", ["numba", "numpy"])
def test_every_call_has_its_time(kernel):
    net = Sequential([Dense(60, 50), ReLU(), Dense(50, 10)], kernel=kernel)
    before = net.parameters.flat.copy()
    plan = net.plan(32, optimizer=Adam())
    for call in plan.calls:
        for array in call.args:  # whatever was in that memory
            if isinstance(array, np.ndarray) and array.dtype == np.float32 and array.ndim == 2:
                array[...] = 0
    net.parameters.flat[:] = before
    found = profile(plan, seconds=0.1)
    assert [call for call, _ in found.calls] == plan.calls
    assert all(seconds > 0 for _, seconds in found.calls)
    assert found.python > max(seconds for _, seconds in found.calls) / 2
    assert (found.compiled is None) == (kernel == "numpy")
    assert found.python_share is None or 0 <= found.python_share < 1
    assert "matmul" in str(found)
    assert "GFLOP/s" in str(found)
    assert (net.parameters.flat == before).all()  # the learning rate is 0
