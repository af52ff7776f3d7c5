"""The generator of the documents: what it runs, where it writes, and the lines of results."""

import json

import pytest

from benchmarks import documents
from benchmarks.documents import Output, main, put, results


@pytest.fixture
def two_documents(tmp_path, monkeypatch):
    """Two documents, a folder apart, that share a block and a command."""
    top, below = tmp_path / "README.md", tmp_path / "folder" / "README.md"
    below.parent.mkdir()
    shared = "<!-- begin train: a -->\n<!-- end train -->\n"
    top.write_text(shared)
    below.write_text(shared + "<!-- begin plan: a; b -->\n<!-- end plan -->\n")
    monkeypatch.setattr(documents, "DOCUMENTS", [top, below])
    monkeypatch.setattr(documents, "FIGURES", tmp_path / "folder" / "figures")
    return top, below


def test_put_writes_to_every_document_with_the_way_to_its_figures(two_documents):
    put("train", f"![x]({documents.FIGURES}/x.svg)")
    top, below = (path.read_text() for path in two_documents)
    assert "![x](folder/figures/x.svg)" in top
    assert "![x](figures/x.svg)" in below


@pytest.mark.parametrize("names", [[], ["train"], ["plan"]])
def test_main_runs_a_shared_command_once_for_all_its_blocks(two_documents, monkeypatch, names):
    ran = []
    monkeypatch.setattr(
        documents, "run", lambda command, _: ran.append(command) or Output(command, None, 0.0)
    )
    blocks = {
        name: lambda *outputs: " ".join(each.text for each in outputs) for name in documents.BLOCKS
    }
    monkeypatch.setattr(documents, "BLOCKS", blocks)
    main(names)
    assert ran == ["a", "b"]
    top, below = (path.read_text() for path in two_documents)
    assert "begin train: a -->\n\na\n" in top
    assert "begin plan: a; b -->\n\na b\n" in below


def test_run_takes_away_what_holds_blas_back(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("KEPT", "yes")
    names = 'import os; print("OPENBLAS_CORETYPE" in os.environ, os.environ["KEPT"])'
    assert documents.run(f"python -c '{names}'", tmp_path).text == "False yes\n"


def test_results_show_the_mean_and_the_lowest_ratio_of_each(tmp_path):
    rows = [
        {
            "name": name,
            "threads": 1,
            "results": {
                "FastNN": {"median": 1.0},
                "PyTorch": {"median": ratio, "ratio": ratio},
                "JAX step": {"median": 3.0, "ratio": 3.0},
                "JAX scan": {"median": 0.5, "ratio": 0.5},
                "scikit-learn": {"bytes": 1, "ratio": 0.1},
            },
        }
        for name, ratio in (("large", 8.0), ("small", 2.0))
    ]
    ratios = {"1×2·2×3": {"median": 0.25}, "8×8·8×8": {"median": 4.0}}
    outcome = {"work": "shapes", "dtype": "float32", "ratios": ratios}
    (tmp_path / "peers.json").write_text(json.dumps({"rows": rows}))
    (tmp_path / "products.json").write_text(json.dumps({"outcomes": [outcome]}))
    output = Output("", tmp_path, 0.0)
    assert results(output, output).strip().splitlines()[2:] == [
        "| PyTorch | 2 | 4.00 | 2.00 | small, threads 1 |",
        "| JAX | 2 | 0.50 | 0.50 | large, threads 1 |",
        "| NumPy's BLAS, shapes, float32 | 2 | 1.00 | 0.25 | 1×2·2×3 |",
    ]
