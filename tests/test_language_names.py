"""Surnames: what ships, how it is split, packed, encoded and shifted."""

import bz2
import hashlib
import runpy

import pytest
import torch

from course_lib.data import DataError
from course_lib.language import SYMBOLS, decode, encode, shift, surnames
from course_lib.language import names as names_module
from course_lib.language.names import SURNAMES_FILE, SURNAMES_SHA256, pack, to_numbers, unpack
from tests.tools import build_surnames, train_language_teacher


@pytest.fixture(scope="module")
def names():
    return surnames()


def test_what_ships(names):
    assert (len(names.train), len(names.held_out)) == (84_799, 4_000)
    every = [*names.train, *names.held_out]
    assert len(set(every)) == 88_799
    assert {"smith", "johnson", "zywiec"} <= set(every)
    assert max(map(len, every)) == 13
    assert set("".join(every)) == set(SYMBOLS[1:])
    assert SURNAMES_FILE.stat().st_size < 150_000


def test_the_split_is_fixed_and_shuffled(names):
    assert names == surnames()
    assert names.train[:3] == ["pizur", "probasco", "hindall"]
    shares = [sum(name[0] < "n" for name in part) / len(part) for part in (names.train, names.held_out, names.train[:1000])]
    assert max(shares) - min(shares) < 0.05


def test_the_file_is_what_packing_its_names_gives_to_the_last_byte(names):
    assert bz2.compress(pack([*names.train, *names.held_out]), 9) == SURNAMES_FILE.read_bytes()


def test_packing_by_hand():
    assert pack(["smithson", "smith", "smithe"]) == b"AsmithFeFson"
    assert unpack(b"AsmithFeFson") == ["smith", "smithe", "smithson"]
    assert unpack(pack(["a", "ab", "b"])) == ["a", "ab", "b"]
    assert unpack(pack([])) == []


@pytest.mark.parametrize("spoil", [lambda old: old[:-100], lambda old: bz2.compress(b"Asmith"), lambda old: b"no bz2"])
def test_a_damaged_file_is_not_used(tmp_path, monkeypatch, spoil):
    damaged = tmp_path / "surnames.bz2"
    damaged.write_bytes(spoil(SURNAMES_FILE.read_bytes()))
    monkeypatch.setattr(names_module, "SURNAMES_FILE", damaged)
    with pytest.raises(DataError, match=r"surnames\.bz2 .*was not used.*install that again"):
        surnames()


def test_a_file_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(names_module, "SURNAMES_FILE", tmp_path / "surnames.bz2")
    with pytest.raises(DataError, match="cannot be read"):
        surnames()
    files = [tmp_path / "a.npz", tmp_path / "a.log"]
    monkeypatch.setattr("sys.argv", ["train", "--out", str(files[0]), "--log", str(files[1])])
    with pytest.raises(DataError):
        runpy.run_path(train_language_teacher.__file__, run_name="__main__")
    assert not any(file.exists() for file in files)


# ---- tensors ----


def test_inputs_and_labels_by_hand():
    inputs, labels = encode(["ann", "b"]).tensors
    assert inputs.dtype == labels.dtype == torch.int64
    assert inputs.tolist() == [[0, 1, 14, 14] + [0] * 10, [0, 2] + [0] * 12]
    assert labels.tolist() == [[1, 14, 14, 0] + [-100] * 10, [2, 0] + [-100] * 12]


def test_the_longest_name_just_fits():
    inputs, labels = encode(["abcdefghijklm"]).tensors
    assert inputs.tolist() == [list(range(14))]
    assert labels.tolist() == [[*range(1, 14), 0]]


def test_every_name_comes_back(names):
    inputs, labels = encode(names.held_out).tensors
    assert decode(inputs) == decode(labels) == names.held_out


def test_a_row_whose_end_is_the_limit_and_an_empty_one():
    inputs, labels = shift(torch.tensor([[0, 1, 2, 3], [0, 0, 0, 0]]))
    assert inputs.tolist() == [[0, 1, 2], [0, 0, 0]]
    assert labels.tolist() == [[1, 2, 3], [0, -100, -100]]
    assert decode(torch.tensor([[0, 1, 2, 3], [0, 0, 5, 0]])) == ["abc", ""]


def test_a_name_that_ends_at_once():
    inputs, labels = encode([""]).tensors
    assert (inputs == 0).all()
    assert labels.tolist() == [[0] + [-100] * 13]
    assert decode(inputs) == decode(labels) == [""]


def test_no_names_make_an_empty_data_set():
    assert encode([]).tensors[0].shape == (0, 14)


@pytest.mark.parametrize("bad", ["abcdefghijklmn", "Smith", "o'neil", "a.b", "é", "a b"])
def test_names_that_are_none(bad):
    with pytest.raises(ValueError, match="at most 13 letters"):
        encode(["smith", bad])


def test_other_wrong_names():
    with pytest.raises(TypeError, match="names must be a list of str, got the str 'smith'"):
        encode("smith")
    with pytest.raises(TypeError, match="a name must be a str, got int"):
        encode([1])
    assert to_numbers("") == [0]


# ---- the command that builds the file ----

LIST = b"SMITH          1.006  1.006      1\nJOHNSON        0.810  1.816      2\nSMITHE  0.000 90.483  88799\n"


def test_the_list_of_the_census_becomes_a_file_of_names(tmp_path):
    out = tmp_path / "surnames.bz2"
    digest = build_surnames.build(out, LIST)
    content = bz2.decompress(out.read_bytes())
    assert hashlib.sha256(content).hexdigest() == digest
    assert unpack(content) == ["johnson", "smith", "smithe"]
    with pytest.raises(FileExistsError):
        build_surnames.build(out, LIST)
    with pytest.raises(ValueError, match=r"at most 13 letters, got .o'neil"):
        build_surnames.read_list(b"O'NEIL 1 1 1")


def test_another_list_is_refused(tmp_path, monkeypatch):
    (tmp_path / "list").write_bytes(LIST)
    monkeypatch.setattr("sys.argv", ["build", "--out", str(tmp_path / "out"), "--list", str(tmp_path / "list")])
    with pytest.raises(SystemExit, match="not the one that the course was built from"):
        runpy.run_path(build_surnames.__file__, run_name="__main__")
    assert not (tmp_path / "out").exists()


def test_the_installed_list_makes_the_file_that_ships(tmp_path):
    try:
        content = build_surnames.installed_list().read_bytes()
    except FileNotFoundError:
        pytest.skip("the package names is not installed")
    assert build_surnames.build(tmp_path / "out", content) == SURNAMES_SHA256
    assert (tmp_path / "out").read_bytes() == SURNAMES_FILE.read_bytes()
