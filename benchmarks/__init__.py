"""Benchmarks for asv, one file a subject; and `benchmarks.readme`, which fills in README.md.

`benchmarks.peers` compares with other libraries. It has no ``__init__.py``: asv imports whatever
package it finds here, and is not to import them.

Parameters are literal, and a file imports whatever the commit that is measured may lack.
"""

import os
from pathlib import Path

# Numba's cache knows a function by its own file and misses changes in files that it is assembled
# from: each commit that asv installs gets a cache of its own. To be set before Numba is imported.
if "ASV_COMMIT" in os.environ and "ASV_ENV_DIR" in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = str(
        Path(os.environ["ASV_ENV_DIR"], "numba-cache", os.environ["ASV_COMMIT"])
    )
