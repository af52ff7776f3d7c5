import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")  # read when Keras is imported


@pytest.fixture(autouse=True, scope="session")
def one_thread_of_pytorch():
    """Arrays are small here, and two pools of threads would only spin beside each other."""
    try:
        import torch  # noqa: PLC0415
    except ImportError:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
