"""In the kernels of the tests, what was computed before is not computed again: what it gave is taken from a file.

The tests run every notebook four times: against its saved outputs, in a browser, and twice in Colab's versions. All would
train the same students, ask the same teacher and write the same ONNX files. What does so is a function of its arguments
(test_loops.py: two runs of `fit` are the same to the last bit, and touch no global state), so its result is kept under a
digest of the arguments, the code of the course, the version of torch and the number of threads. What differs in a single bit
is computed, and so is what a hook watches or another `forward` answers; a method that a notebook replaces on a class is not
seen. Where notebooks/ is run without tests/, as the README's commands do, nothing is recalled against the saved outputs.

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
KEPT = 7 * 86_400  # seconds, from the last result that was added
COMPUTE_ALL = "COURSE_TESTS_COMPUTE_ALL"  # in the environment: results are kept, but none is taken
MANY = 1000  # inputs; fewer are answered quickly, and notebook 05 counts what an answer takes


def in_kernels_of(config, *, compute_all: bool) -> None:
    """From here on, kernels that this pytest process starts share what they compute, in pytest's cache, and train faster."""
    home = config.cache.mkdir("trainings")
    for folder in home.glob("results/*"):  # of code as it once was
        if time.time() - folder.stat().st_mtime > KEPT and not hasattr(config, "workerinput"):
            shutil.rmtree(folder, ignore_errors=True)
    os.environ[COMPUTE_ALL] = "yes" if compute_all else ""
    startup = home / "profile_default" / "startup"
    startup.mkdir(parents=True, exist_ok=True)
    _write(startup / "trained_once.py", Path(__file__).read_bytes())
    os.environ["IPYTHONDIR"] = str(home)
    os.environ.setdefault("GLIBC_TUNABLES", MEMORY)


def once(function, folder: Path, *, trains: bool = False, worth_keeping=lambda *places, **named: True):
    """`function`, of a model and more, which computes only what has no result in `folder` yet.

    trains: whether it leaves other weights in the model. worth_keeping: of its other arguments, whether to keep this result.
    """

    @functools.wraps(function)
    def recalled(model, *places, **named):
        key = _key(function, model, places, named) if worth_keeping(*places, **named) else None
        if key is None:
            return function(model, *places, **named)
        file = folder / key
        if file.exists() and not os.environ.get(COMPUTE_ALL):
            weights, result = pickle.loads(file.read_bytes())
            if trains:
                model.load_state_dict(weights)
                model.zero_grad()
            return result
        result = function(model, *places, **named)
        if not getattr(result, "stopped_early", False):
            _write(file, pickle.dumps((model.state_dict() if trains else None, result)))
        return result

    return recalled


# What is kept, of which module. An epoch is quick, and notebook 05 measures how long one takes.
ONCE = {
    "course_lib.loops": {
        "fit": {"trains": True, "worth_keeping": lambda *places, epochs, **named: epochs != 1},
        "evaluate": {},
        "predict": {"worth_keeping": lambda inputs, *batch_size, **named: len(inputs) >= MANY},
    },
    "course_lib.deploy.onnx_models": {"to_onnx": {}},
}


def _key(function, *arguments) -> str | None:
    """A digest of all that the result depends on; None where that is not known."""
    import torch

    digest = hashlib.blake2b(digest_size=16)
    try:
        settings = (torch.__version__, torch.get_num_threads(), str(torch.get_default_dtype()))
        _feed(digest, (function.__name__, settings, arguments))
    except TypeError:  # callbacks want every step, and a DataLoader may be anything
        return None
    return digest.hexdigest()


def _feed(digest, thing) -> None:
    import torch

    kind, home = type(thing).__qualname__, type(thing).__module__
    digest.update(kind.encode() + b"\0")
    if isinstance(thing, torch.Tensor):
        if thing._backward_hooks or thing._post_accumulate_grad_hooks:
            raise TypeError("its gradient is watched")
        _feed(digest, (str(thing.dtype), str(thing.device), tuple(thing.shape), thing.stride(), thing.requires_grad))
        digest.update(thing.detach().cpu().contiguous().numpy())
    elif isinstance(thing, torch.nn.Module):
        _feed_module(digest, thing)
    elif type(thing) is torch.utils.data.TensorDataset:
        _feed(digest, thing.tensors)
    elif home == "course_lib.loops" and kind in ("HardLabels", "Distillation"):
        _feed(digest, vars(thing))
    elif isinstance(thing, dict):
        for name in sorted(thing):
            _feed(digest, (name, thing[name]))
    elif isinstance(thing, (tuple, list)):
        for part in thing:
            _feed(digest, part)
    elif thing is None or isinstance(thing, (bool, int, float, str)) or home == "course_lib.schedules":
        digest.update(pickle.dumps(thing))
    else:
        raise TypeError(f"no digest of a {kind}")


def _feed_module(digest, module) -> None:
    for part in module.modules():
        known = type(part).__module__.startswith(("torch.nn.", "course_lib.models", "course_lib.data"))
        pruned = all(type(hook).__module__ == "torch.nn.utils.prune" for hook in part._forward_pre_hooks.values())
        watched = part._forward_hooks or part._backward_hooks or part._backward_pre_hooks
        if watched or "forward" in vars(part) or not known or not pruned:
            raise TypeError("it is watched, or of code that is not the course's")
    _feed(digest, (repr(module), module.training))
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        _feed(digest, (name, tensor))


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: several processes write here."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    part.write_bytes(data)
    os.replace(part, path)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of `ONCE` as usual, wherever they are by then, and puts `once` around their functions as they load."""

    def __init__(self, home: Path):
        self.home = home

    def find_spec(self, name, path=None, target=None):
        if name not in ONCE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        load = spec.loader.exec_module

        def exec_module(module) -> None:
            load(module)
            folder = self._folder(Path(spec.origin).parent)
            for function, options in ONCE[name].items():
                setattr(module, function, once(getattr(module, function), folder, **options))

        spec.loader.exec_module = exec_module
        return spec

    def _folder(self, course_lib: Path) -> Path:
        """The one for the code as it now stands."""
        code = hashlib.blake2b(digest_size=16)
        for file in sorted(course_lib.rglob("*.py")):
            code.update(file.read_bytes())
        folder = self.home / "results" / code.hexdigest()
        folder.mkdir(parents=True, exist_ok=True)
        return folder


if Path(__file__).parent.name == "startup":  # of a kernel, not of pytest
    sys.meta_path.insert(0, _Finder(Path(os.environ["IPYTHONDIR"])))
