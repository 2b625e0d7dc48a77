"""A run of `fit` on disk: written after every epoch, read by the next call, which goes on as if nothing had come between."""

import copy
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import NoReturn

import torch
from torch import nn
from torch.utils.data import DataLoader

from course_lib.basics import random_state, set_random_state
from course_lib.batches import ShuffledBatches, samplers_of
from course_lib.history import History, says_stop

REMEMBERED = ("objective", "planned_epochs", "steps_per_epoch", "by_step", "by_epoch")  # of a history
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # in the name of a function, another in each process


@dataclass
class Run:
    """All that changes while `fit` runs, and what it runs with."""

    model: nn.Module
    objective: object
    optimizer: torch.optim.Optimizer
    batches: ShuffledBatches | DataLoader
    history: History
    device: torch.device
    batch_size: int
    seed: int
    lr: object
    path: Path | None

    @property
    def settings(self) -> dict[str, float | str]:
        """What must be the same in the call that goes on with a run, as far as the names of objective and lr tell it."""
        settings = {
            "objective": self.history.objective,
            "epochs": self.history.planned_epochs,
            "steps_per_epoch": self.history.steps_per_epoch,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "lr": repr(self.lr) if callable(self.lr) else float(self.lr),
        }
        return {name: ADDRESS.sub("", value) if isinstance(value, str) else value for name, value in settings.items()}

    def resume(self, on_epoch: Callable[[History], object] | None) -> bool:
        """Go on from the file, if there is one. Return whether on_epoch, if it was not asked before, now ends the run."""
        if self.path is None or not self.path.exists() or self.load():
            return False
        self.model.train()  # as it would be in one go
        return self.end_epoch(on_epoch)

    def end_epoch(self, on_epoch: Callable[[History], object] | None) -> bool:
        """Ask on_epoch whether the run ends here; write the run before that and, since on_epoch may change it, after.

        Where on_epoch ends the run, or fails, the file stays at what was before: the call that goes on asks anew.
        """
        if on_epoch is not None:
            self.save(asked=False)
            if says_stop(on_epoch, self.history):
                return True
        self.save(asked=True)
        return False

    def save(self, asked: bool) -> None:
        """Write the run in one move, so that a machine that stops halfway leaves what was there. asked: whether on_epoch was.

        ValueError, and no file, where the first could not be read again.
        """
        if self.path is None:
            return
        state = {
            "settings": self.settings,
            "model": self._plain.state_dict(),
            "own": [parameter.detach() for parameter in self._own()],
            "objective": self.objective.state_dict() if hasattr(self.objective, "state_dict") else None,
            "optimizer": self.optimizer.state_dict(),
            "order": None if self._generator() is None else self._generator().get_state(),
            "random": random_state(self.device),
            "history": {name: getattr(self.history, name) for name in REMEMBERED},
            "asked": asked,
        }
        beside = self.path.with_name(self.path.name + ".part")
        torch.save(state, beside)
        if not self.path.exists():
            try:
                torch.load(beside, map_location="cpu", weights_only=True)
            except Exception as error:
                beside.unlink()
                raise ValueError(f"the states of model and objective must be tensors and plain numbers; {error}") from error
        os.replace(beside, self.path)

    def load(self) -> bool:
        """Go back to where the run in the file was, and return whether on_epoch was asked there.

        ValueError if it is another run, or none: the file is left as it is, and so is the model.
        """
        try:
            state = torch.load(self.path, map_location=self.device, weights_only=True)
            saved, own = state["settings"], state["own"]
        except Exception as error:
            raise ValueError(
                f"checkpoint must be a file that fit wrote, or not there yet; {self.path} can't be read"
            ) from error
        other = [name for name, value in self.settings.items() if saved.get(name, value) != value]
        if other:
            self._refuse("run", "; ".join(f"{name} {saved.get(name)!r} there, {self.settings[name]!r} here" for name in other))
        there, here = ([tuple(value.shape) for value in values] for values in (own, self._own()))
        if there != here:
            self._refuse("objective", f"parameters of shapes {there} there, {here} here")
        self._load_model(state["model"])
        if state.get("objective") is not None:
            self.objective.load_state_dict(state["objective"])
        with torch.no_grad():
            for parameter, value in zip(self._own(), own, strict=True):
                parameter.copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        if state["order"] is not None:
            self._generator().set_state(state["order"].cpu())
        set_random_state([each.cpu() for each in state["random"]], self.device)
        for name, value in state["history"].items():
            setattr(self.history, name, value)
        self.history.stopped_early = False  # files of earlier versions hold it
        return state.get("asked", True)

    def _load_model(self, weights: Mapping) -> None:
        before = copy.deepcopy(self._plain.state_dict())
        try:
            self._plain.load_state_dict({name.removeprefix("_orig_mod."): value for name, value in weights.items()})
        except RuntimeError as error:  # some of it is in place already
            self._plain.load_state_dict(before)
            self._refuse("model", str(error))

    def _refuse(self, what: str, difference: str) -> NoReturn:
        raise ValueError(f"checkpoint must be of this {what}; {self.path} is of another: {difference}. Name another file")

    @property
    def _plain(self) -> nn.Module:
        """The model, not what torch.compile puts around it, which would name its weights otherwise."""
        return getattr(self.model, "_orig_mod", self.model)

    def _own(self) -> list[nn.Parameter]:
        """The parameters that the objective brings, such as a projector's."""
        return list(self.objective.parameters()) if hasattr(self.objective, "parameters") else []

    def _generator(self) -> torch.Generator | None:
        """What the order of the examples is drawn from, if not from torch's default: the sampler's own, or the batches'."""
        draws = *samplers_of(self.batches), self.batches
        return next((each.generator for each in draws if getattr(each, "generator", None) is not None), None)


def file_of(checkpoint: str | PathLike | None) -> Path | None:
    """The path of the file, in a folder that is there now: an epoch later is late to learn that it can't be made."""
    if checkpoint is None:
        return None
    if not isinstance(checkpoint, str | PathLike):
        raise TypeError(f"checkpoint must be a path, got {type(checkpoint).__name__}")
    path = Path(checkpoint)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise ValueError(f"checkpoint must be a file, or not there yet; {path} is a folder")
    return path


def hold_to(path: str | PathLike, settings: Mapping[str, object]) -> None:
    """Write down what a run is started with; where that is written already, raise ValueError that names what differs now.

    What `fit` compares itself is how it trains. This is for what lies around it, such as which file the teacher came from.
    path: a file of JSON, made where it is not there, and never changed. settings: name -> text, number, bool or None, or a
    list or dict of such.
    """
    path, now = Path(path), json.loads(json.dumps(dict(settings)))
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(now, indent=1), encoding="utf8")
        return
    try:
        before = dict(json.loads(path.read_text(encoding="utf8")))
    except ValueError as error:
        raise ValueError(f"path must be a file that hold_to wrote, or not there yet; {path} can't be read") from error
    other = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if other:
        told = "; ".join(f"{name} {before.get(name)!r} there, {now.get(name)!r} here" for name in other)
        raise ValueError(f"settings must be those of the run begun in {path}; {told}. Go back to them, or name another file")
