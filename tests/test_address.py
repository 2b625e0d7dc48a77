"""One place holds the public address; every badge and every install line says the same."""

import re
import shutil

import nbformat
import pytest

from tests.tools import address

NOTEBOOKS = [page for page in address.pages() if page.suffix == ".ipynb"]
by_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.relative_to(address.ROOT).as_posix())


@by_notebook
def test_every_notebook_carries_the_badge_that_opens_it(path):
    title = nbformat.read(path, as_version=4).cells[0]
    assert title.cell_type == "markdown"
    assert title.source.startswith("# ")
    assert title.source.count(address.badge(path)) == title.source.count("colab-badge") == 1


@by_notebook
def test_every_notebook_installs_the_course_from_the_address_and_installs_nothing_else(path):
    cells = nbformat.read(path, as_version=4).cells
    installs = re.findall(r"pip install .*", "\n".join(cell.source for cell in cells if cell.cell_type == "code"))
    assert installs == [f"pip install --quiet --no-deps git+{address.address()}"]


def test_the_readme_opens_the_first_notebook_and_says_where_the_course_is():
    readme = (address.ROOT / "README.md").read_text(encoding="utf8")
    assert address.badge(address.ROOT / "notebooks" / "01_dark_knowledge.ipynb") in readme
    assert f"url = {{{address.address()}}}" in readme


def test_no_page_says_another_address(capsys):
    assert address.others() == {}
    assert address.main([]) == 0
    assert capsys.readouterr().out == address.address() + "\n"


@pytest.fixture
def fork(tmp_path, monkeypatch):
    """A copy of what holds the address."""
    for page in [*address.pages(), address.ROOT / "pyproject.toml"]:
        copy = tmp_path / page.relative_to(address.ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(page, copy)
    monkeypatch.setattr(address, "ROOT", tmp_path)
    return tmp_path


def test_a_fork_changes_it_with_one_command_and_can_change_it_back(fork):
    was, before = address.address(), {page: page.read_bytes() for page in fork.rglob("*.*")}
    assert address.main(["https://github.com/some-body/a.fork"]) == 0
    assert address.address() == "https://github.com/some-body/a.fork"
    assert address.others() == {}
    for page in address.pages():
        text = page.read_text(encoding="utf8")
        assert was not in text
        if page.suffix == ".ipynb":
            assert "git+https://github.com/some-body/a.fork" in text
            assert "/github/some-body/a.fork/blob/main/" in text
    assert address.main([was + "/"]) == 0
    assert {page: page.read_bytes() for page in fork.rglob("*.*")} == before


def test_a_page_that_says_another_address_is_named(fork, capsys):
    page = next(page for page in address.pages() if page.suffix == ".ipynb")
    page.write_text(page.read_text(encoding="utf8").replace("/blob/main", "x/blob/main", 1), encoding="utf8", newline="\n")
    assert address.main([]) == 1
    assert page.name in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", ["OWNER/REPOSITORY", "https://gitlab.com/a/b", "https://github.com/a", "https://github.com/a/b/c"]
)
def test_an_address_of_no_repository_is_refused_and_changes_nothing(fork, wrong, capsys):
    before = {page: page.read_bytes() for page in fork.rglob("*.*")}
    with pytest.raises(SystemExit):
        address.main([wrong])
    assert "https://github.com/OWNER/REPOSITORY" in capsys.readouterr().err
    assert {page: page.read_bytes() for page in fork.rglob("*.*")} == before
