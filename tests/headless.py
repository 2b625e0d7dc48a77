"""Notebooks run in a kernel without a page: in one of the tests' own Python, or of another."""

import sys
from pathlib import Path

from jupyter_client import KernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode


def execute(
    notebook: NotebookNode, folder: Path, environment: dict, timeout: float, python: str | Path = sys.executable
) -> None:
    """Run a notebook in place, as if it lay in `folder`; raises at an error in a cell that is not marked for one."""
    manager = KernelManager(kernel_name="python3")
    manager.kernel_spec.argv[0] = str(python)
    resources = {"metadata": {"path": folder}}
    NotebookClient(notebook, km=manager, timeout=timeout, resources=resources).execute(env=environment)
