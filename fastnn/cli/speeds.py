"""Kernels measured at products, for `fastnn kernels` and `fastnn kernels check`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastnn.cli.console import show, show_table, warn_of_restraints
from fastnn.experiments.settings import Experiment

if TYPE_CHECKING:
    from fastnn.kernels import Kernel


def measure_speeds(settings: Experiment, chosen: "Sequence[Kernel]") -> dict[str, Any]:
    """Measure some kernels with the threads and the dtype of some settings."""
    from fastnn import kernels
    from fastnn.cli.progress import count_bar
    from fastnn.study.products import report_speeds

    # Also where no number is given: BLAS may have another one than Numba.
    kernels.set_num_threads(settings.threads or kernels.get_num_threads())
    warn_of_restraints()
    with count_bar(1 + len(chosen)) as progress:
        return report_speeds(chosen, settings.dtype, progress)


def show_speeds(report: Mapping[str, Any]) -> None:
    """Print the machine and a row for each kernel at each product."""
    machine, ceilings = report["machine"], report["ceilings"]
    sizes = (f"{machine['caches'][level] // 1024:,} KiB" for level in ("l1", "l2", "l3"))
    peak, read, copy = (
        f"{ceilings[name]['median'] / 1e9:.1f}" for name in (report["dtype"], "read", "copy")
    )
    show(
        f"{machine['processor']}, {machine['vector_unit']}, caches {', '.join(sizes)}",
        f"{report['dtype']}, threads {report['threads']}, BLAS {blas(report)}",
        f"FMA peak {peak} GFLOP/s, memory {read} GB/s read, {copy} GB/s read and written in a copy",
    )
    show_table(
        ("kernel", "product", "GFLOP/s", "% peak", "× numpy", "middle half"),
        [
            [
                speed["kernel"],
                speed["product"],
                f"{speed['flops']['median'] / 1e9:.3g}",
                f"{100 * speed['share']['median']:.3g}",
                f"{speed['ratio']['median']:.3g}",
                f"{speed['ratio']['low']:.2g}–{speed['ratio']['high']:.2g}",
            ]
            for speed in report["speeds"]
        ],
    )


def blas(report: Mapping[str, Any]) -> str:
    """Return the name, the version and the architecture of the BLAS of a report."""
    return " ".join(filter(None, report["machine"]["blas"].values()))
