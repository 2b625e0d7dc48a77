"""A list of this machine's fonts that is made for the tests, and for every kernel that they start.

matplotlib keeps one in the user's home, and believes it: if fonts are missing from it, or gone since, it complains under
whichever figure asks for them first. And a kernel that had to make it would say so.
"""

import os
import subprocess
import sys


def in_kernels_of(config) -> None:
    """From here on, processes that this pytest process starts read a list in pytest's own cache, made anew by each pytest."""
    folder = config.cache.mkdir("matplotlib")
    os.environ["MPLCONFIGDIR"] = str(folder)
    if not hasattr(config, "workerinput"):  # before any worker starts
        for file in folder.glob("fontlist-*"):
            file.unlink()
        subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=True)
