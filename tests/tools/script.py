"""Write notebooks/distil.py, the script that the cells of notebook 10 with the tag "script" make up.

python -m tests.tools.script
"""

from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NOTEBOOK, SCRIPT = NOTEBOOKS / "10_your_own_model.ipynb", NOTEBOOKS / "distil.py"
MARK = "# distil.py\n"  # with which each such cell begins
HEAD = '"""Distil a teacher into a student of your own: python distil.py --help. From notebook 10 of the course."""\n'
TAIL = """
if __name__ == "__main__":
    try:
        main()
    except (ImportError, OSError, ValueError) as error:    # they say what is needed
        raise SystemExit(f"Stopped: {error}")
"""


def script_of(notebook: nbformat.NotebookNode) -> str:
    """Return the script: the cell with the imports, then the others in their order."""
    cells = [cell.source for cell in notebook.cells if "script" in cell.metadata.get("tags", ())]
    parts = [cell.removeprefix(MARK).strip() for cell in cells]
    parts.sort(key=lambda part: not part.startswith("import"))
    imports = parts[0].replace("\n\n", "\n")
    return HEAD + imports + "".join(f"\n\n{part}" for part in parts[1:]) + "\n" + TAIL


if __name__ == "__main__":
    SCRIPT.write_text(script_of(nbformat.read(NOTEBOOK, as_version=4)), encoding="utf8", newline="\n")
    print(f"{SCRIPT.name}: {len(SCRIPT.read_text('utf8').splitlines())} lines")
