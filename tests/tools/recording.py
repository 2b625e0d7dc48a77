"""The command line of the comparisons whose results come with the course: a new file, seeds, one thread."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch


def record(description: str, compare: Callable[..., dict], **counts: int) -> None:
    """Write what compare(seeds=…, log=…) returns as JSON to the new file --out; counts: further options, with their defaults.

    Raises FileExistsError before it computes anything if the file is there.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True)
    for name, default in {"seeds": 5, **counts}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = vars(parser.parse_args())
    out = options.pop("out")
    if out.exists():
        raise FileExistsError(f"--out {out} is there already; name another file, or move it away")
    torch.set_num_threads(1)
    found = compare(**options, log=lambda line: print(line, flush=True))
    out.write_text(json.dumps(found, indent=1) + "\n")
