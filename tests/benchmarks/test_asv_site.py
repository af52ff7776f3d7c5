"""The pages that asv makes of its results, as a browser shows them.

asv's page loads libraries from public servers, which these tests would then depend on. Instead, npm
installs the same libraries once, and a copy of the page loads them from beside itself.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from asv.util import load_json

from tests.browser import open_page

pytestmark = [pytest.mark.browser, pytest.mark.network, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
# By the last part of the address that asv's page has, the file of an npm package.
LIBRARIES = {
    "jquery-3.3.1.min.js": "jquery/dist/jquery.min.js",
    "jquery.flot.min.js": "jquery.flot/jquery.flot.js",
    "jquery.flot.time.min.js": "jquery.flot/jquery.flot.time.js",
    "jquery.flot.selection.min.js": "jquery.flot/jquery.flot.selection.js",
    "jquery.flot.categories.min.js": "jquery.flot/jquery.flot.categories.js",
    "jquery.flot.orderBars.js": "flot-orderbars/js/jquery.flot.orderBars.js",
    "stupidtable.min.js": "stupid-table-plugin/stupidtable.min.js",
    "md5.min.js": "blueimp-md5/js/md5.min.js",
    "bootstrap.min.js": "bootstrap/dist/js/bootstrap.min.js",
    "bootstrap.min.css": "bootstrap/dist/css/bootstrap.min.css",
}
PACKAGES = (
    *("jquery@3.3.1", "jquery.flot@0.8.3", "flot-orderbars@1.0.0"),
    *("stupid-table-plugin@1.1.3", "blueimp-md5@2.19.0", "bootstrap@3.1.1"),
)
KERNELS = ["blocked", "numba", "numpy"]
SIZES = [64, 128]
CHOSEN = rf"Squares\.time_product\('({'|'.join(KERNELS)})', ({SIZES[0]}|{SIZES[1]}), 'float32', 1\)"


def run(*command, **environment):
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert not done.returncode, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"


def configured(directory):
    """Write the project's asv configuration for another repository, which has one commit."""
    settings = load_json(str(ROOT / "asv.conf.json"), js_comments=True)
    settings["repo"] = str(directory / "repository")
    settings["benchmark_dir"] = str(ROOT / settings["benchmark_dir"])
    path = directory / "asv.conf.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    run("git", "init", "--quiet", settings["repo"])
    run("git", "-C", settings["repo"], *identity, *("commit", "--allow-empty", "-m", "first"))
    return str(path)


@pytest.fixture(scope="module")
def libraries(request):
    """A folder with the npm packages, kept so that they are fetched once."""
    folder = Path(request.config.cache.mkdir("asv-site"))
    if not all((folder / "node_modules" / path).exists() for path in LIBRARIES.values()):
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("no npm here, and asv's page needs libraries")
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--cache", str(folder / "cache"))
        command = [npm, "install", "--prefix", str(folder), *options, *PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"npm can't install what asv's page needs: {done.stderr[-200:]}")
    return folder / "node_modules"


@pytest.fixture(scope="module")
def site(tmp_path_factory, libraries):
    """The address of a site that asv made of one quick run, which needs no other server."""
    directory = tmp_path_factory.mktemp("asv")
    asv = Path(sys.executable).with_name("asv")
    config = ("--config", configured(directory))
    # asv keeps its description of the machine in HOME, and passes on ASV_PYTHONPATH only.
    home = {"HOME": str(directory), "ASV_PYTHONPATH": str(ROOT)}
    run(str(asv), "machine", "--yes", *config, **home)
    once = ("--python=same", "--quick", "--set-commit-hash", "HEAD", "--bench", CHOSEN)
    run(str(asv), "run", *config, *once, **home)
    run(str(asv), "publish", *config, **home)
    html = directory / ".asv" / "html"
    for name, path in LIBRARIES.items():
        shutil.copy(libraries / path, html / name)
    index = html / "index.html"
    page = re.sub(r'"https://[^"]*/([^"/]+\.(?:js|css))"', r'"\1"', index.read_text("utf-8"))
    index.write_text(re.sub(r'integrity="[^"]*"', "", page), encoding="utf-8")
    handler = partial(QuietHandler, directory=html)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def graph_address(site, **choice):
    choice = {"x-axis": "n", "p-dtype": "'float32'", "p-threads": "1", **choice}
    query = "&".join(f"{name}={quote(value)}" for name, value in choice.items())
    return f"{site}#matmul.Squares.time_product?{query}"


# What flot drew, and whether a pixel of its canvas has the colour of each line.
DRAWN = """() => {
    const plot = $('#main-graph').data('plot'), canvas = plot.getCanvas();
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const colours = new Set();
    for (let i = 0; i < data.length; i += 4) colours.add(data.slice(i, i + 3).join());
    const shown = colour => colours.has($.color.parse(colour).toString().match(/\\d+/g).join());
    return {
        axis: plot.getXAxes()[0].options.axisLabel,
        unit: plot.getYAxes()[0].options.axisLabel,
        lines: plot.getData().map(line => ({
            label: line.label, points: line.data, shown: shown(line.color)})),
    };
}"""


@pytest.mark.parametrize("width", [1280, 390])
def test_asv_graph_shows_a_line_for_each_kernel_over_the_size(browser, site, width):
    page, errors = open_page(browser, graph_address(site), width)
    page.locator("#main-graph canvas").first.wait_for()
    assert page.locator("#main-graph").bounding_box()["width"] > 0.7 * width
    drawn = page.evaluate(DRAWN)
    assert drawn["axis"] == "n"
    assert drawn["unit"].endswith("seconds")
    lines = {
        re.search(r"kernel-([^;]*)", line["label"])[1]: line
        for line in drawn["lines"]
        if any(seconds is not None for _, seconds in line["points"])
    }
    assert sorted(lines) == sorted(KERNELS)
    for line in lines.values():
        assert [n for n, seconds in line["points"] if seconds is not None] == SIZES
        assert line["shown"]
    for kernel in KERNELS:
        assert page.locator(".legendLabel", has_text=f"kernel-{kernel};").is_visible()
    assert not errors
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_asv_graph_is_drawn_over_commits(browser, site, width):
    page, errors = open_page(browser, graph_address(site, **{"x-axis": "commit"}), width)
    page.locator("#main-graph canvas").first.wait_for()
    assert page.evaluate(DRAWN)["axis"] == "commits"
    assert not errors
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_asv_list_names_what_was_measured(browser, site, width):
    page, errors = open_page(browser, f"{site}#/summarylist", width)
    row = page.get_by_role("row", name="product of squares, n × n ('numba', 64, 'float32', 1)")
    assert re.search(r"\d[mμn]s", row.inner_text())
    assert not errors
    page.close()
