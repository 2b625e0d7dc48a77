"""The doctor, on environments that lack something. Packages are described by their metadata alone, as pip leaves it."""

import os
import subprocess
import sys
from importlib import metadata
from types import SimpleNamespace

import packaging.requirements  # noqa: F401 - loaded here, since the tests hide where it is found
import pytest

from course_lib import doctor

WHOLE = {
    "course-lib": ("0.1.0", ["torch>=2.4", "torchvision>=0.19", "numpy>=1.26", "matplotlib>=3.8", "ipywidgets>=7.7"]),
    "torch": ("2.11.0+cu128", []),
    "torchvision": ("0.26.0+cu128", ["torch==2.11.0"]),
    "numpy": ("2.1.3", []),
    "matplotlib": ("3.10.0", ["packaging>=20"]),
    "packaging": ("25.0", []),
    "ipywidgets": ("8.1.0", ["jupyterlab_widgets~=3.0.9", 'pytest; extra == "test"']),
    "jupyterlab_widgets": ("3.0.15", []),
    "jupyterlab": ("4.4.0", []),
}


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Makes an environment like WHOLE but for what is given: name -> version, or (version, requirements), or None."""
    monkeypatch.setattr(doctor, "available_memory", lambda: 8e9)
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)

    def make(**changes):
        packages = {**WHOLE, **{name.replace("_lib", "-lib"): change for name, change in changes.items()}}
        for name, package in packages.items():
            if package is not None:
                version, asked = (package, WHOLE[name][1]) if isinstance(package, str) else package
                folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
                folder.mkdir()
                lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
                lines += [f"Requires-Dist: {each}" for each in asked]
                (folder / "METADATA").write_text("\n".join(lines) + "\n")
        monkeypatch.setattr(sys, "path", [str(tmp_path)])

    return make


def only(faults):
    assert len(faults) == 1, faults
    return faults[0]


def test_a_whole_environment_has_no_fault_and_the_first_cell_says_nothing(environment, capsys):
    environment()
    assert doctor.quick_faults() == []
    doctor.check()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("changes", "what", "fix"),
    [
        ({"torch": "2.3.1", "torchvision": "0.18.1"}, ["torch 2.3.1 is installed", "torch>=2.4"], '"torch>=2.4"'),
        ({"numpy": "1.25.9"}, ["numpy 1.25.9 is installed", "numpy>=1.26"], '"numpy>=1.26"'),
        ({"matplotlib": None}, ["matplotlib is missing", "matplotlib>=3.8"], '"matplotlib>=3.8"'),
        ({"ipywidgets": None}, ["ipywidgets is missing"], '"ipywidgets>=7.7"'),
        ({"torchvision": "0.25.0"}, ["torchvision 0.25.0 was not built for torch 2.11.0+cu128"], '"torchvision==0.26.*"'),
        ({"jupyterlab_widgets": None}, ["jupyterlab_widgets is missing", "ipywidgets needs"], '"jupyterlab_widgets~=3.0.9"'),
        ({"jupyterlab_widgets": "1.1.9"}, ["jupyterlab_widgets 1.1.9 is installed", "~=3.0.9"], '"jupyterlab_widgets~=3.0.9"'),
        (
            {"ipywidgets": ("7.8.5", ["jupyterlab_widgets>=1.0.0"])},
            ["No slider", "jupyterlab_widgets 3.0.15 does not belong to ipywidgets 7.8.5"],
            "--upgrade ipywidgets jupyterlab_widgets",
        ),
        (
            {"ipywidgets": ("7.7.1", ["jupyterlab_widgets>=1.0.0"]), "jupyterlab_widgets": "1.1.9"},
            ["No slider", "ipywidgets 7.7.1 is too old for JupyterLab 4.4.0"],
            "--upgrade ipywidgets jupyterlab_widgets",
        ),
        ({"packaging": None}, ["packaging is missing"], "install packaging"),
        ({"course_lib": None}, ["not installed as a package"], "install -e "),
    ],
)
def test_each_fault_is_named_with_its_fix(environment, capsys, changes, what, fix):
    environment(**changes)
    faults = doctor.quick_faults()
    assert all(words in faults[0].what for words in what), faults
    assert faults[0].fix.startswith(f"{doctor._program(sys.executable)} -m pip install")
    assert fix in faults[0].fix
    doctor.check()
    assert faults[0].what in capsys.readouterr().out


def test_versions_are_compared_as_versions(environment):
    environment(matplotlib="3.10.0", torch="2.10.0", torchvision="0.25.0")  # as texts, "3.10" would be below "3.8"
    assert doctor.quick_faults() == []


def test_release_candidates_and_local_builds_count(environment):
    environment(numpy="2.5.0rc1", torch="2.11.0+cpu", torchvision="0.26.0a0+git1234")
    assert doctor.quick_faults() == []


@pytest.mark.parametrize(("ours", "page"), [("7.8.5", "1.1.9"), ("7.8.0", "2.0.0"), ("8.0.0", "3.0.3")])
def test_halves_of_the_widgets_that_belong_together(environment, ours, page):
    environment(ipywidgets=(ours, ["jupyterlab_widgets>=1.0.0"]), jupyterlab_widgets=page)
    assert doctor.quick_faults() == []


@pytest.mark.parametrize(
    ("torch", "asked"), [("2.14.1", "torch>=2.14.0"), ("2.15.0+cpu", "torch>=2.14.0"), ("2.15.0", "torch>=2.15")]
)
def test_a_torchvision_that_is_built_for_no_single_torch(environment, torch, asked):
    environment(torch=torch, torchvision=("0.29.2", [asked]))
    assert doctor.quick_faults() == []


def test_a_torch_that_is_too_old_for_its_torchvision(environment):
    environment(torch="2.14.1", torchvision=("0.30.0", ["torch>=2.15"]))
    fault = only(doctor.quick_faults())
    assert fault.what == "torch 2.14.1 is installed; torchvision needs torch>=2.15."
    assert '"torch>=2.15"' in fault.fix


def test_a_torchvision_that_is_too_old_for_its_torch(environment):
    environment(torch="2.15.0", torchvision=("0.28.0", ["torch==2.13.0"]))
    fault = only(doctor.quick_faults())
    assert fault.what == "torchvision 0.28.0 was not built for torch 2.15.0."
    assert '"torchvision>=0.29"' in fault.fix  # there is no 0.30 for it


@pytest.mark.parametrize(
    ("path", "windows", "started"),
    [
        (r"C:\course\.venv\Scripts\python.exe", True, r"C:\course\.venv\Scripts\python.exe"),  # in cmd and in PowerShell
        (r"C:\Users\Ana Li\.venv\Scripts\python.exe", True, r'& "C:\Users\Ana Li\.venv\Scripts\python.exe"'),
        ("/a course/.venv/bin/python", False, '"/a course/.venv/bin/python"'),
    ],
)
def test_how_a_shell_starts_a_program(path, windows, started):
    assert doctor._program(path, windows) == started


def test_one_fault_does_not_hide_another(environment):
    environment(numpy="1.20.0", ipywidgets=None, torchvision="0.25.0")
    assert len(doctor.quick_faults()) == 3


def test_on_colab_the_command_is_a_magic_and_its_own_front_end_is_trusted(environment, monkeypatch):
    environment(jupyterlab_widgets=None, numpy="1.20.0")
    monkeypatch.setitem(sys.modules, "google.colab", object())
    assert only(doctor.quick_faults()).fix == '%pip install "numpy>=1.26"'
    assert doctor.nothing_to_open_notebooks_with() == []


def test_without_jupyterlab_there_is_nothing_to_open_a_notebook_with(environment):
    environment(jupyterlab=None, jupyterlab_widgets=None)
    assert doctor.quick_faults() == []  # VS Code brings a front end of its own
    assert "no JupyterLab" in only(doctor.nothing_to_open_notebooks_with()).what


def test_python(environment):
    fault = only(doctor.python_too_old((3, 9)))
    assert "3.9" in fault.what
    assert " -m venv --clear .venv " in fault.fix  # without it an environment keeps the Python that it was made with
    assert doctor.python_too_old((3, 10)) == doctor.python_too_old((3, 14)) == []


def test_memory():
    assert "0.4 GB" in only(doctor.memory_short(0.4e9)).what
    assert doctor.memory_short(doctor.MEMORY) == []
    assert doctor.available_memory() is None or doctor.available_memory() > 0


@pytest.fixture
def container(tmp_path, monkeypatch):
    """Writes what the kernel says of a container's memory, as in /sys/fs/cgroup; the machine itself has plenty."""
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=64_000_000_000))
    monkeypatch.setattr(doctor, "CGROUP", tmp_path)

    def write(**files):
        for name, content in files.items():
            (tmp_path / f"memory.{name}").write_text(content)

    return write


def test_memory_of_a_container_counts_where_it_is_less(container):
    container(max="2000000000\n", current="1500000000\n")
    assert doctor.available_memory() == 500_000_000
    container(max="max\n")  # no limit
    assert doctor.available_memory() == 64_000_000_000
    container(max="")
    assert doctor.available_memory() == 64_000_000_000


def test_files_that_a_container_has_read_do_not_count_as_used(container):
    stat = "anon 300000000\nfile 1200000000\ninactive_anon 8192\ninactive_file 1100000000\nactive_file 100000000\n"
    container(max="2000000000\n", current="1500000000\n", stat=stat)
    assert doctor.available_memory() == 1_600_000_000
    assert doctor.memory_short() == []
    container(current="1000000000\n")  # read a moment later than the other number
    assert doctor.available_memory() == 2_000_000_000


def test_a_folder_that_cannot_be_written_to(tmp_path):
    assert doctor.folder_read_only(tmp_path) == []
    fault = only(doctor.folder_read_only(tmp_path / "not there"))
    assert str(tmp_path) in fault.what
    assert fault.fix.startswith(("cp -R", "xcopy"))
    assert list(tmp_path.iterdir()) == []  # it leaves nothing behind


def test_damaged_files_are_named(tmp_path, monkeypatch):
    from course_lib import fashion_files, models

    assert doctor.files_damaged() == []
    for path in fashion_files.SAMPLE_FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    cut = tmp_path / "t10k-images-idx3-ubyte.bz2"
    cut.write_bytes(cut.read_bytes()[:1000])
    weights = bytearray(models.TEACHER_WEIGHTS.read_bytes())
    weights[len(weights) // 2] ^= 1
    (tmp_path / "teacher.npz").write_bytes(weights)
    monkeypatch.setattr(fashion_files, "SAMPLE_FOLDER", tmp_path)
    monkeypatch.setattr(models, "TEACHER_WEIGHTS", tmp_path / "teacher.npz")
    fault = only(doctor.files_damaged())
    assert "t10k-images-idx3-ubyte" in fault.what
    assert "teacher.npz" in fault.what
    assert "train-images" not in fault.what
    assert "checkout -- course_lib/assets" in fault.fix or "--force-reinstall" in fault.fix


def test_what_cannot_be_imported_is_said_with_the_last_line_of_the_error(monkeypatch, tmp_path):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    fault = only(doctor.import_fails())
    assert "operator torchvision::nms does not exist" in fault.what
    assert "--force-reinstall" in fault.fix


def test_a_course_whose_folder_was_moved_is_to_be_installed_again(monkeypatch, tmp_path):
    (tmp_path / "course_lib.py").write_text("raise ModuleNotFoundError(\"No module named 'course_lib'\")")  # elsewhere
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.chdir(doctor.HERE.parent)  # from here it can still be imported
    fault = only(doctor.import_fails())
    assert "its folder was moved" in fault.what
    assert fault.fix == doctor.install_course()


def run_command(folder, **changes):
    """The whole command, run in a folder, with something in it changed."""
    # Of the floors together one thing is wrong, and rightly told: JupyterLab 4.1 shows no slider of ipywidgets 7.7.
    update = f"vars(doctor).update({changes}, front_end_missing=list)"
    code = f"import sys; from course_lib import doctor; {update}; sys.exit(doctor.main())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)


def test_a_torch_that_cannot_be_loaded_is_told_without_a_traceback(tmp_path, monkeypatch):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise OSError('libcudart.so.12: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    done = run_command(tmp_path, MEMORY=1)
    assert (done.returncode, done.stderr) == (1, "")
    assert "1. The packages are there, but can't be imported: OSError: libcudart.so.12: cannot open shared" in done.stdout
    assert "--force-reinstall" in done.stdout


def test_the_command_prints_what_is_there_and_says_by_its_status_whether_all_is_well(tmp_path):
    well, ill = run_command(tmp_path, MEMORY=1), run_command(tmp_path, MEMORY=1e18)
    assert well.returncode == 0, well.stdout
    assert well.stdout.endswith("All is well.\n")
    assert f"torch        {metadata.version('torch')}" in well.stdout
    assert ill.returncode == 1
    assert "1. " in ill.stdout
    assert "of memory are free" in ill.stdout


def test_it_starts_with_nothing_but_the_standard_library():
    code = "import sys; sys.modules.update(dict.fromkeys(('torch', 'numpy', 'packaging'))); import course_lib.doctor"
    subprocess.run([sys.executable, "-S", "-c", code], check=True, cwd=doctor.HERE.parent)
