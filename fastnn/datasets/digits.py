"""The handwritten digits in the package; ATTRIBUTION.md says whose they are.

The split is fixed, and simple enough to restate without NumPy::

    seen, train, test = Counter(), [], []
    for *pixels, label in rows:  # in file order
        (train if seen[label] % 5 else test).append((pixels, label))
        seen[label] += 1

It mixes the writers: each hand in the test set is also in the training set, so accuracy is
higher here than it would be on the digits of somebody new.
"""

import gzip
from importlib import resources

import numpy as np
import numpy.typing as npt

from fastnn.datasets.dataset import Dataset
from fastnn.datasets.splits import every_fifth

SOURCE = (
    "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning "
    "Repository, doi:10.24432/C50P49, CC BY 4.0; the test writers' part, as scikit-learn ships it"
)
GREY_LEVELS = 16  # each of the 8×8 values counts the ink in a 4×4 block of a bitmap: 0 to 16


def load(dtype: npt.DTypeLike) -> Dataset:
    """Return the 1,797 digits of 8×8 pixels, ``x`` from 0 (paper) to 1 (ink) in `dtype`."""
    packed = resources.files("fastnn.datasets").joinpath("digits.csv.gz").read_bytes()
    rows = np.loadtxt(
        gzip.decompress(packed).decode("ascii").splitlines(), dtype=np.int64, delimiter=","
    )
    x, y = rows[:, :-1].astype(dtype) / GREY_LEVELS, rows[:, -1]
    return Dataset.split("digits", x, y, every_fifth(y), classes=tuple("0123456789"), source=SOURCE)
