"""What every kernel is given that the tests start: a list of this machine's fonts, and large pages of memory.

matplotlib keeps a list of fonts in the user's home, and believes it: if fonts are missing from it, or gone since, it complains
under whichever figure asks for them first. And a kernel that had to make it would say so.
"""

import os
import subprocess
import sys

# Large pages of memory, kept when they are freed: training small networks is mostly memory traffic, and takes up to a fifth
# less time. The C library of Linux reads this when a kernel starts; others don't. The numbers are the same.
MEMORY = "glibc.malloc.hugetlb=1:glibc.malloc.trim_threshold=1000000000:glibc.malloc.mmap_threshold=1000000000"


def prepare(config) -> None:
    """From here on, processes that this pytest process starts have both; the list is in pytest's cache, new for each pytest."""
    folder = config.cache.mkdir("matplotlib")
    os.environ["MPLCONFIGDIR"] = str(folder)
    os.environ.setdefault("GLIBC_TUNABLES", MEMORY)
    if not hasattr(config, "workerinput"):  # before any worker starts
        for file in folder.glob("fontlist-*"):
            file.unlink()
        subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=True)
