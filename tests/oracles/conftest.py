import os
import sys

import pytest
from threadpoolctl import threadpool_limits

os.environ.setdefault("KERAS_BACKEND", "torch")  # read when Keras is imported


@pytest.fixture(autouse=True, scope="module")
def one_thread_of_other_libraries():
    """Arrays are small here, and pools of threads would only spin beside each other."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    if torch:
        torch.set_num_threads(before)
