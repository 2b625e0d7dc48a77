"""The data: what ships is what it says, a damaged file is told, and the mixture's posterior is Bayes' rule."""

import bz2
import functools
import gzip
import math
import os
import runpy
import shutil

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from course_lib import data, fashion_files
from course_lib.data import CLASSES, DataError, Mixture, fashion_mnist, to_pixels
from tests.tools import build_sample

quick_gzip = functools.partial(gzip.compress, compresslevel=1)
needs_full = pytest.mark.skipif(
    not fashion_files.INSTALLED_FOLDER.is_dir(),
    reason="no Fashion-MNIST (Debian: apt-get install dataset-fashion-mnist)",
)


@pytest.fixture(scope="module")
def sample():
    return fashion_mnist()


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Nothing is installed, and every download fails as it does without a network."""
    import torchvision

    monkeypatch.setattr(fashion_files, "INSTALLED_FOLDER", tmp_path / "nothing")
    monkeypatch.setattr(fashion_files, "DOWNLOAD_FOLDER", tmp_path / "downloads")

    def fail(*_, **__):
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", fail)


# ---- the sample ----


def test_the_sample_is_balanced_and_normalised(sample):
    for split, per_class in ((sample.train, 600), (sample.test, 200)):
        images, labels = split.tensors
        assert images.shape == (10 * per_class, 1, 28, 28)
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        assert torch.bincount(labels).tolist() == [per_class] * len(CLASSES)
        assert images.mean().abs() < 0.05
        assert abs(images.std() - 1) < 0.05


def test_pixels_come_back(sample):
    images = sample.test.tensors[0][:50]
    pixels = to_pixels(images)
    assert pixels.min() == 0
    assert pixels.max() == 1
    bytes_again = (pixels * 255).round()
    torch.testing.assert_close(pixels * 255, bytes_again, atol=1e-3, rtol=0)


def test_the_sample_is_small_and_comes_with_its_origin():
    files = list(fashion_files.SAMPLE_FOLDER.iterdir())
    assert sum(file.stat().st_size for file in files) <= 5e6
    origin = (fashion_files.SAMPLE_FOLDER.parent / "README.md").read_text(encoding="utf8")
    assert "MIT" in origin
    assert "python -m tests.tools.build_sample" in origin


@needs_full
def test_the_sample_is_rebuilt_byte_for_byte(tmp_path):
    sha256 = build_sample.build(tmp_path, fashion_files.full_folder(None))
    assert sha256 == fashion_files.SAMPLE_SHA256
    for name in sha256:
        file = f"{name}.bz2"
        assert (tmp_path / file).read_bytes() == (fashion_files.SAMPLE_FOLDER / file).read_bytes()


@needs_full
def test_rebuilding_overwrites_nothing(tmp_path):
    kept = tmp_path / "train-images-idx3-ubyte.bz2"
    kept.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        build_sample.build(tmp_path, fashion_files.full_folder(None))
    assert kept.read_bytes() == b"mine"


@needs_full
def test_the_sample_comes_from_the_official_splits(sample):
    full = fashion_mnist("full")
    assert len(full.train) == 60_000
    assert len(full.test) == 10_000
    for part, whole in zip(sample, full, strict=True):
        known = {image.numpy().tobytes(): label for image, label in zip(*whole.tensors, strict=True)}
        assert all(known[image.numpy().tobytes()] == label for image, label in zip(*part.tensors, strict=True))


# ---- files that are missing or damaged ----


@pytest.fixture
def as_full(monkeypatch):
    """The sample's checksums stand in for those of the full set, so that its small files can play the full ones."""
    monkeypatch.setattr(fashion_files, "FULL_SHA256", fashion_files.SAMPLE_SHA256)


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2"])
def test_a_folder_that_the_user_names(tmp_path, as_full, sample, suffix):
    for file in fashion_files.SAMPLE_FOLDER.iterdir():
        content = bz2.decompress(file.read_bytes())
        packed = {"": bytes, ".gz": quick_gzip, ".bz2": bz2.compress}[suffix](content)
        folder = tmp_path / "FashionMNIST" / "raw" if suffix == ".gz" else tmp_path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / (file.stem + suffix)).write_bytes(packed)
    found = fashion_mnist("full", folder=tmp_path)
    assert torch.equal(found.train.tensors[0], sample.train.tensors[0])
    assert torch.equal(found.test.tensors[1], sample.test.tensors[1])


@pytest.mark.parametrize("damage", ["cut archive", "cut content", "changed", "not an archive", "empty"])
def test_a_damaged_file_is_told_and_not_used(tmp_path, as_full, damage, capsys):
    shutil.copytree(fashion_files.SAMPLE_FOLDER, tmp_path, dirs_exist_ok=True)
    victim = tmp_path / "t10k-labels-idx1-ubyte.bz2"
    whole = victim.read_bytes()
    content = bz2.decompress(whole)
    victim.write_bytes(
        {
            "cut archive": whole[:-20],
            "cut content": bz2.compress(content[:-1]),
            "changed": bz2.compress(content[:-1] + bytes([9 - content[-1]])),
            "not an archive": b"<html>404</html>",
            "empty": b"",
        }[damage]
    )
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.bz2 .* not used") as told:
        fashion_mnist("full", folder=tmp_path)
    assert "Three ways to get the full Fashion-MNIST" in str(told.value)
    fashion_mnist("full", folder=tmp_path, otherwise="sample")
    said = capsys.readouterr().out
    assert "not used" in said
    assert "Going on with the sample: 6,000 training and 2,000 test images." in said


def test_a_cut_gz_is_told(tmp_path, as_full):
    for file in fashion_files.SAMPLE_FOLDER.iterdir():
        (tmp_path / f"{file.stem}.gz").write_bytes(quick_gzip(bz2.decompress(file.read_bytes()))[:-30])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz cannot be read and was not used"):
        fashion_mnist("full", folder=tmp_path)


def test_a_missing_file_is_told(tmp_path, as_full):
    shutil.copytree(fashion_files.SAMPLE_FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "t10k-images-idx3-ubyte.bz2").unlink()
    with pytest.raises(DataError, match="lacks the file t10k-images-idx3-ubyte"):
        fashion_mnist("full", folder=tmp_path)


def test_a_folder_without_data_is_not_replaced_by_another_source(tmp_path):
    with pytest.raises(DataError, match="holds none of Fashion-MNIST's four files"):
        fashion_mnist("full", folder=tmp_path)


def test_without_data_the_error_says_the_three_ways(offline, capsys):
    with pytest.raises(DataError) as error:
        fashion_mnist("full")
    message = str(error.value)
    assert "Downloading Fashion-MNIST failed" in message
    for way in ('fashion_mnist("full", folder="...")', "apt-get install dataset-fashion-mnist", "torchvision then downloads"):
        assert way in message
    sample = fashion_mnist("full", otherwise="sample")
    assert len(sample.train) == 6000
    assert "Going on with the sample" in capsys.readouterr().out


def test_a_download_goes_through_torchvision_with_its_checksums(offline, as_full, monkeypatch):
    import torchvision

    asked = []

    def download(url, download_root, filename, md5):
        asked.append((filename, md5))
        name = filename.removesuffix(".gz")
        raw = fashion_files.DOWNLOAD_FOLDER / "FashionMNIST" / "raw"
        (raw / name).write_bytes(bz2.decompress((fashion_files.SAMPLE_FOLDER / f"{name}.bz2").read_bytes()))

    monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", download)
    assert len(fashion_mnist("full").train) == 6000
    assert asked == torchvision.datasets.FashionMNIST.resources
    asked.clear()
    assert len(fashion_mnist("full").test) == 2000
    assert not asked  # the second time it is there


def test_without_a_home_the_sample_is_there_and_a_download_says_what_it_lacks(offline, monkeypatch):
    pwd = pytest.importorskip("pwd")

    def nobody(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    again = runpy.run_path(fashion_files.__file__)
    assert len(fashion_mnist().test) == 2000
    monkeypatch.setattr(fashion_files, "DOWNLOAD_FOLDER", again["DOWNLOAD_FOLDER"])
    with pytest.raises(DataError, match="Downloading Fashion-MNIST failed: Could not determine home directory"):
        fashion_mnist("full")


def test_downloads_are_kept_in_the_home_folder():
    assert str(fashion_files.DOWNLOAD_FOLDER.expanduser()) == os.path.join(os.path.expanduser("~"), ".cache", "course_lib")


def test_wrong_arguments():
    with pytest.raises(ValueError, match="size must be one of 'sample', 'full'; got 'half'"):
        fashion_mnist("half")
    with pytest.raises(ValueError, match="otherwise must be one of None, 'sample'; got 'full'"):
        fashion_mnist("full", otherwise="full")
    with pytest.raises(ValueError, match=r"folder is for size='full'.* got folder='here'"):
        fashion_mnist(folder="here")


# ---- the mixture ----


def test_the_posterior_is_bayes_rule():
    mixture = Mixture(priors=[0.1, 0.2, 0.3, 0.4])
    points = mixture.sample(200, seed=1).tensors[0]
    for x, found in zip(points.double().numpy(), mixture.posterior(points).numpy(), strict=True):
        joint = []
        for mean, covariance, prior in zip(
            mixture.means.numpy(), mixture.covariances.numpy(), mixture.priors.numpy(), strict=True
        ):
            distance = (x - mean) @ np.linalg.inv(covariance.astype(float)) @ (x - mean)
            joint.append(prior * math.exp(-distance / 2) / (2 * math.pi * math.sqrt(np.linalg.det(covariance))))
        np.testing.assert_allclose(found, np.array(joint) / sum(joint), rtol=2e-3, atol=1e-6)


def test_the_posterior_is_what_the_labels_say_on_average():
    mixture = Mixture()
    points, labels = mixture.sample(200_000, seed=2).tensors
    posterior = mixture.posterior(points)
    for label in range(mixture.num_classes):
        for low in (0.1, 0.4, 0.7):
            rows = (posterior[:, label] > low) & (posterior[:, label] <= low + 0.1)
            share = (labels[rows] == label).float().mean().item()
            spread = 4 * math.sqrt(0.25 / int(rows.sum()))
            assert share == pytest.approx(posterior[rows, label].mean().item(), abs=spread)


def test_the_classes_overlap():
    mixture = Mixture()
    points, labels = mixture.sample(20_000).tensors
    accuracy = (mixture(points).argmax(-1) == labels).float().mean()
    assert mixture.num_classes >= 3
    assert 0.8 < accuracy < 0.95


def test_samples_have_the_means_covariances_and_priors():
    mixture = Mixture(priors=[0.1, 0.2, 0.3, 0.4])
    points, labels = mixture.sample(100_000, seed=3).tensors
    for label in range(4):
        mine = points[labels == label]
        torch.testing.assert_close(mine.mean(0), mixture.means[label], atol=0.05, rtol=0)
        torch.testing.assert_close(mine.T.cov(), mixture.covariances[label], atol=0.05, rtol=0.05)
        assert len(mine) / 100_000 == pytest.approx(mixture.priors[label].item(), abs=0.01)


def test_sampling_is_seeded_and_leaves_the_global_state_alone():
    before = torch.get_rng_state()
    one, other = Mixture().sample(50, seed=4), Mixture().sample(50, seed=4)
    assert torch.equal(one.tensors[0], other.tensors[0])
    assert not torch.equal(one.tensors[0], Mixture().sample(50, seed=5).tensors[0])
    assert torch.equal(before, torch.get_rng_state())


def test_the_posterior_far_away_is_finite():
    logits = Mixture()(torch.tensor([[50.0, -50.0], [0.0, 0.0]]))
    assert logits.isfinite().all()
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(2))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"priors": [0.5, 0.5]},
            r"must have shapes \(num_classes, 2\), \(num_classes, 2, 2\) and \(num_classes,\); "
            r"got \(4, 2\), \(4, 2, 2\) and \(2,\)",
        ),
        ({"priors": 0.25}, r"must have shapes .* got \(4, 2\), \(4, 2, 2\) and \(\)"),
        ({"means": [[0, 0, 0]] * 4}, r"must have shapes .* got \(4, 3\)"),
        ({"means": 0.5}, r"must have shapes .* got \(\), "),
        ({"means": [], "covariances": []}, r"must have shapes .* got \(0,\), \(0,\) and \(0,\)"),
        ({"priors": [0.5, 0.5, 0.5, 0.5]}, "priors must be above 0 and add up to 1"),
        ({"priors": [1.0, 0.0, 0.0, 0.0]}, "priors must be above 0 and add up to 1"),
        ({"priors": [math.nan] * 4}, "priors must be above 0 and add up to 1, got .*nan"),
        ({"covariances": [[[1.0, 2.0], [2.0, 1.0]]] * 4}, "covariance"),
    ],
)
def test_a_wrong_mixture(arguments, says):
    with pytest.raises(ValueError, match=says):
        Mixture(**arguments)


@pytest.mark.parametrize(
    ("n", "error", "says"),
    [(0, ValueError, "n must be at least 1, got 0"), (-3, ValueError, "got -3"), (2.0, TypeError, "n must be an int")],
)
def test_a_sample_has_at_least_one_point(n, error, says):
    with pytest.raises(error, match=says):
        Mixture().sample(n)


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [(slice(2), [0, 1]), (torch.tensor([3, 0]), [3, 0]), (torch.tensor([False, True, False, True]), [1, 3])],
)
def test_rows_of_a_dataset_are_a_dataset_with_all_columns(rows, wanted):
    dataset = TensorDataset(torch.arange(8.0).reshape(4, 2), torch.arange(4), 10 * torch.arange(4))
    taken = data.take_rows(dataset, rows)
    assert isinstance(taken, TensorDataset)
    assert taken.tensors[1].tolist() == wanted
    assert torch.equal(taken.tensors[0], dataset.tensors[0][wanted])
    assert taken.tensors[2].tolist() == [10 * row for row in wanted]


def test_rows_of_what_is_no_dataset():
    with pytest.raises(TypeError, match="dataset must be a TensorDataset, got list"):
        data.take_rows([1, 2], slice(1))
