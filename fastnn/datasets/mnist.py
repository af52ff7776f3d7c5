"""MNIST and Fashion-MNIST, two data sets of four IDX files each; neither is in the package.

`load` never downloads; `fastnn.datasets.fetch` does.
"""

import os.path
from dataclasses import dataclass
from pathlib import Path

import numpy.typing as npt
import pooch

from fastnn.datasets.dataset import (
    DataError,
    Dataset,
    Inputs,
    Labels,
    check_counts,
    check_labels,
)
from fastnn.datasets.idx import read_images, read_labels

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)


@dataclass(frozen=True)
class IdxDataset:
    """Four IDX files and where to find them.

    Parameters
    ----------
    classes : tuple of str
        The name of each label.
    source : str
        Whom to credit, and the licence.
    checksums : dict
        Checksum of the upstream ``.gz`` of each of `FILES`, in pooch's notation.
    mirrors : tuple of str
        Base addresses that serve the ``.gz`` files, the first choice first.
    system_directories : tuple of Path
        Where a distribution's package puts the files.

    """

    classes: tuple[str, ...]
    source: str
    checksums: dict[str, str]
    mirrors: tuple[str, ...]
    system_directories: tuple[Path, ...] = ()


IDX_DATASETS = {
    "mnist": IdxDataset(
        classes=tuple("0123456789"),
        source=(
            "Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST Database of Handwritten Digits "
            "(derived from NIST's Special Databases 1 and 3), CC BY-SA 3.0"
        ),
        checksums={
            TRAIN_IMAGES: "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            TRAIN_LABELS: "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            TEST_IMAGES: "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            TEST_LABELS: "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    "fashion-mnist": IdxDataset(
        classes=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        source=(
            "H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, arXiv:1708.07747, "
            "copyright 2017 Zalando SE, MIT licence"
        ),
        # MD5 is what upstream publishes.
        checksums={
            TRAIN_IMAGES: "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            TRAIN_LABELS: "md5:25c81989df183df01b3e8a0aad5dffbe",
            TEST_IMAGES: "md5:bef4ecab320f06d8554ea6380940ec79",
            TEST_LABELS: "md5:bb300cfdad3c16e7a12a480ee83cd310",
        },
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        # Debian's and Ubuntu's package dataset-fashion-mnist.
        system_directories=(Path("/usr/share/datasets/fashion-mnist"),),
    ),
}


def home(name: str, data_dir: Path | None) -> Path:
    """Return the directory that `fetch` fills, in `data_dir` or else the user's cache directory.

    Each data set has its own, since their files have the same names.
    """
    return (data_dir or pooch.os_cache("fastnn")) / name


def load(name: str, dtype: npt.DTypeLike, data_dir: Path | None) -> Dataset:
    """Read a data set of `IDX_DATASETS`.

    With `data_dir`, the files are looked for in ``data_dir/name`` and in `data_dir`, and nowhere
    else; without it, in the cache directory and where a distribution's package puts them.
    """
    description = IDX_DATASETS[name]
    if data_dir is None:
        places = (home(name, None), *description.system_directories)
    else:
        places = (home(name, data_dir), data_dir)
    files = _find(name, places)
    classes = description.classes
    train = _read_part(files[TRAIN_IMAGES], files[TRAIN_LABELS], len(classes), dtype)
    test = _read_part(files[TEST_IMAGES], files[TEST_LABELS], len(classes), dtype)
    return Dataset(name, *train, *test, classes, description.source)


def _read_part(
    images: Path, labels: Path, classes: int, dtype: npt.DTypeLike
) -> tuple[Inputs, Labels]:
    x, y = read_images(images, dtype), read_labels(labels)
    check_labels(str(labels), y, classes)
    check_counts(str(images), x, str(labels), y)
    return x, y


def _find(name: str, places: tuple[Path, ...]) -> dict[str, Path]:
    """Return each file's path in the first place that holds all of them."""
    reports = []
    for place in places:
        found = {file: path for file in FILES if (path := _in_directory(place, file))}
        if len(found) == len(FILES):
            return found
        missing = ", ".join(f"{file}[.gz]" for file in FILES if file not in found)
        reports.append(f"{place} (missing: {missing if place.is_dir() else 'the directory'})")
    raise DataError(
        f"{name} is not in {' nor in '.join(reports)}; `fastnn data fetch {name}` downloads it, "
        "and --data-dir names a directory that holds it"
    )


def _in_directory(place: Path, file: str) -> Path | None:
    """Return the compressed file, which `fetch` has verified, or else the raw one."""
    candidates = (place / f"{file}.gz", place / file)
    return next((path for path in candidates if os.path.isfile(path)), None)
