"""The asv suites, one file a subject. asv imports this package and nothing else of the project.

Every commit of the history is measured with these files as they are now: `common` imports what
they need, under the names that the measured commit has. Parameters are literal.
"""

import os
from pathlib import Path

# Numba's cache identifies a function by its own file and misses changes in the files that it is
# assembled from, so each commit gets a cache of its own. Set before Numba is imported.
if "ASV_COMMIT" in os.environ and "ASV_ENV_DIR" in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = str(
        Path(os.environ["ASV_ENV_DIR"], "numba-cache", os.environ["ASV_COMMIT"])
    )
