"""Shared by the tests: Hinton's symbols as a fixture worked out by hand, and small data."""

import hypothesis
import pytest

# It makes an environment and runs the whole course in it, and has a command of its own: pytest tests/test_colab.py
collect_ignore = ["test_colab.py"]

hypothesis.settings.register_profile("course", deadline=None, derandomize=True, max_examples=60)
hypothesis.settings.load_profile("course")


# The tests of what others copy, which run once, with coverage; the rest is quicker without.
COPIED = (
    "losses", "losses_stacks", "schedules", "objectives", "features", "tapping", "calling", "loops", "batches", "checkpoints",
    "history",
)  # fmt: skip


def pytest_addoption(parser):
    parser.addoption("--copied", choices=("only", "without"), help="only the tests of what others copy, or all but these")
    parser.addoption("--seeds", type=int, default=20, help="on how many seeds right and wrong answers are tried; CI: 200")
    parser.addoption("--spread", type=int, default=10, help="how many submissions have answers over several cells")


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """One more than xdist would take: a browser, a server or a sandbox is waited for a third of the time."""
    return (yield) + 1


def pytest_ignore_collect(collection_path, config):
    wanted, name = config.getoption("copied"), collection_path.name
    if wanted == "only" and collection_path.is_dir() and collection_path.parent.name == "tests":
        return True
    if (
        wanted
        and name.startswith("test_")
        and (name.removeprefix("test_").removesuffix(".py") in COPIED) == (wanted == "without")
    ):
        return True
    return None


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.parent.name != "browser")  # the longest first: then all cores end about together


# torch is imported where it is used: the process that hands out the tests has no need of it, and starts sooner.


@pytest.fixture
def v():
    """The teacher's logits, one row."""
    import torch

    return torch.tensor([[3.0, 1.0, 0.0]], dtype=torch.float64)


@pytest.fixture
def z():
    """The student's logits, one row."""
    import torch

    return torch.tensor([[1.0, 1.0, 0.0]], dtype=torch.float64, requires_grad=True)


@pytest.fixture
def labels():
    import torch

    return torch.tensor([0])
