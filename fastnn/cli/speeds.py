"""Kernels measured at products: the table, for all of them or for one."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastnn.cli.console import show, show_table, warn_of_restraints
from fastnn.experiments.settings import Experiment

if TYPE_CHECKING:
    from fastnn.kernels import Kernel


def measure_speeds(settings: Experiment, ladder: "Sequence[Kernel] | None") -> dict[str, Any]:
    """Measure some kernels, or all, with the threads and the dtype of some settings."""
    from fastnn import kernels
    from fastnn.cli.progress import count_bar
    from fastnn.study.products import measure_ladder

    # Also where no number is given: BLAS may have another one than Numba.
    kernels.set_num_threads(settings.threads or kernels.get_num_threads())
    warn_of_restraints()
    with count_bar(1 + len(kernels.names() if ladder is None else ladder)) as advance:
        return measure_ladder(settings.dtype, ladder, begins=advance)


def show_speeds(report: Mapping[str, Any]) -> None:
    """Print the machine and a row for each kernel at each product."""
    machine, measured = report["machine"], report["ceilings"]
    blas = " ".join(filter(None, machine["blas"].values()))
    (ceilings,) = measured["ceilings"]
    sizes = (f"{measured['caches'][level] // 1024:,} KiB" for level in ("l1", "l2", "l3"))
    show(
        f"{machine['processor']}, {measured['vector_unit']}, caches {', '.join(sizes)}",
        f"{report['dtype']}, threads {report['threads']}, BLAS {blas}",
        f"FMA peak {ceilings[report['dtype']]['median'] / 1e9:.1f} GFLOP/s, memory "
        f"{ceilings['read']['median'] / 1e9:.1f} GB/s read, "
        f"{ceilings['copy']['median'] / 1e9:.1f} GB/s read and written in a copy",
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
