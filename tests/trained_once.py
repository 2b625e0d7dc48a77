"""In the kernels of the tests, a training that was done before is not done again: what it gave is taken from a file.

The tests run every notebook four times: against its saved outputs, in a browser, and twice in Colab's versions. All would
train the same students. `fit` is a function of its arguments (test_loops.py: two runs are the same to the last bit, and touch
no global state), so its result is kept under a digest of the arguments, the code of the course, the version of torch and
the number of threads. One that differs in a single bit is trained. Against the saved outputs all are trained, in any case.

pytest calls `in_kernels_of`; IPython runs this file at the start of a kernel that has IPYTHONDIR from there.
"""

import functools
import hashlib
import importlib.abc
import importlib.machinery
import os
import pickle
import shutil
import sys
import time
import uuid
from pathlib import Path

# Large pages of memory, kept when they are freed: training small networks is mostly memory traffic, and takes up to a fifth
# less time. The C library of Linux reads this when a kernel starts; others don't. The numbers are the same.
MEMORY = "glibc.malloc.hugetlb=1:glibc.malloc.trim_threshold=1000000000:glibc.malloc.mmap_threshold=1000000000"
KEPT = 7 * 86_400  # seconds, from the last training that was added
TRAIN_ALL = "COURSE_TESTS_TRAIN_ALL"  # in the environment: results are kept, but none is taken


def in_kernels_of(config, *, train_all: bool) -> None:
    """From here on, kernels that this pytest process starts share their trainings, in pytest's own cache, and train faster."""
    home = config.cache.mkdir("trainings")
    for folder in home.glob("fits/*"):  # of code as it once was
        if time.time() - folder.stat().st_mtime > KEPT and not hasattr(config, "workerinput"):
            shutil.rmtree(folder, ignore_errors=True)
    os.environ[TRAIN_ALL] = "yes" if train_all else ""
    startup = home / "profile_default" / "startup"
    startup.mkdir(parents=True, exist_ok=True)
    _write(startup / "trained_once.py", Path(__file__).read_bytes())
    os.environ["IPYTHONDIR"] = str(home)
    os.environ.setdefault("GLIBC_TUNABLES", MEMORY)


def once(module, folder: Path):
    """`module.fit`, which trains only what has no result in `folder` yet."""
    fit = module.fit

    @functools.wraps(fit)
    def recalled(model, data, objective, *, epochs, **settings):
        if epochs == 1:  # quick, and notebook 05 measures how long one takes
            return fit(model, data, objective, epochs=epochs, **settings)
        try:
            key = folder / _digest(module, model, data, objective, epochs, settings)
        except TypeError:  # callbacks want every step, and a DataLoader may be anything
            return fit(model, data, objective, epochs=epochs, **settings)
        if key.exists() and not os.environ.get(TRAIN_ALL):
            state, history = pickle.loads(key.read_bytes())
            model.load_state_dict(state)
            model.zero_grad()
            return history
        history = fit(model, data, objective, epochs=epochs, **settings)
        if not history.stopped_early:
            _write(key, pickle.dumps((model.state_dict(), history)))
        return history

    return recalled


def _digest(module, *arguments) -> str:
    import torch
    from torch import nn

    digest = hashlib.blake2b(digest_size=16)

    def feed(thing) -> None:
        digest.update(type(thing).__qualname__.encode() + b"\0")
        if isinstance(thing, torch.Tensor):
            feed((str(thing.dtype), str(thing.device), tuple(thing.shape), thing.stride(), thing.requires_grad))
            digest.update(thing.detach().cpu().contiguous().numpy())
        elif isinstance(thing, nn.Module):
            feed((repr(thing), thing.training))
            for name, tensor in [*thing.named_parameters(), *thing.named_buffers()]:
                feed((name, tensor))
        elif type(thing) is torch.utils.data.TensorDataset:
            feed(thing.tensors)
        elif type(thing) in (module.HardLabels, module.Distillation):
            feed(vars(thing))
        elif isinstance(thing, dict):
            for name in sorted(thing):
                feed((name, thing[name]))
        elif isinstance(thing, (tuple, list)):
            for part in thing:
                feed(part)
        elif thing is None or isinstance(thing, (bool, int, float, str)) or type(thing).__module__ == "course_lib.schedules":
            digest.update(pickle.dumps(thing))
        else:
            raise TypeError(f"no digest of a {type(thing).__qualname__}")

    feed((torch.__version__, torch.get_num_threads(), str(torch.get_default_dtype()), list(arguments)))
    return digest.hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: several processes write here."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    part.write_bytes(data)
    os.replace(part, path)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds `course_lib.loops` as usual, wherever it is by then, and puts `once` around its `fit` when it is loaded."""

    def __init__(self, home: Path):
        self.home = home

    def find_spec(self, name, path=None, target=None):
        if name != "course_lib.loops":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        load = spec.loader.exec_module

        def exec_module(module) -> None:
            load(module)
            module.fit = once(module, self._folder(Path(spec.origin).parent))

        spec.loader.exec_module = exec_module
        return spec

    def _folder(self, course_lib: Path) -> Path:
        """The one for the code as it now stands."""
        code = hashlib.blake2b(digest_size=16)
        for file in sorted(course_lib.rglob("*.py")):
            code.update(file.read_bytes())
        folder = self.home / "fits" / code.hexdigest()
        folder.mkdir(parents=True, exist_ok=True)
        return folder


if Path(__file__).parent.name == "startup":  # of a kernel, not of pytest
    sys.meta_path.insert(0, _Finder(Path(os.environ["IPYTHONDIR"])))
