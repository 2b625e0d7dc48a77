"""A run of `fit` on disk: written after every epoch, read by the next call, which goes on as if nothing had come between."""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from course_lib.basics import random_state, set_random_state
from course_lib.batches import ShuffledBatches
from course_lib.history import History

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
        """What must be the same in the call that goes on with a run."""
        of = self.history
        named = {"objective": of.objective, "epochs": of.planned_epochs, "steps_per_epoch": of.steps_per_epoch}
        named |= {
            "batch_size": self.batch_size,
            "seed": self.seed,
            "lr": repr(self.lr) if callable(self.lr) else float(self.lr),
        }
        return {name: ADDRESS.sub("", value) if isinstance(value, str) else value for name, value in named.items()}

    def resumes_over(self, is_last: Callable[[], bool]) -> bool:
        """Go on from the file, if there is one. Whether that run is over: if on_epoch had ended it, it is asked again.

        Unless it says so again, what it has changed this time is undone.
        """
        if self.path and self.path.exists() and self.load(self.path):
            if is_last():
                return True
            self.load(self.path)
        return False

    def ends_with(self, is_last: Callable[[], bool]) -> bool:
        """Whether on_epoch ends the run, which is written after it, error or not: what it has changed belongs to the run."""
        ended = False
        try:
            ended = is_last()
            return ended
        finally:
            if self.path:
                self.save(self.path, ended)

    def save(self, path: Path, ended: bool) -> None:
        """Write the run to `path`, in one move, so that a machine that stops halfway leaves the epoch before.

        ended: whether on_epoch ended it.
        """
        state = {
            "settings": self.settings,
            "model": self._plain.state_dict(),
            "own": [parameter.detach() for parameter in self._own()],
            "objective": self.objective.state_dict() if hasattr(self.objective, "state_dict") else None,
            "optimizer": self.optimizer.state_dict(),
            "order": None if self._generator() is None else self._generator().get_state(),
            "random": random_state(self.device),
            "history": {name: getattr(self.history, name) for name in REMEMBERED},
            "ended": ended,
        }
        beside = path.with_name(path.name + ".part")
        torch.save(state, beside)
        os.replace(beside, path)

    def load(self, path: Path) -> bool:
        """Go back to where the run at `path` was, and return whether on_epoch ended it.

        ValueError if it is another run, or none: the file is left as it is, and so is the model.
        """
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            saved = state["settings"]
        except Exception as error:
            raise ValueError(f"checkpoint must be a file that fit wrote, or not there yet; {path} can't be read") from error
        other = [name for name, value in self.settings.items() if saved.get(name, value) != value]
        if other:
            differences = "; ".join(f"{name} {saved.get(name)!r} there, {self.settings[name]!r} here" for name in other)
            raise ValueError(f"checkpoint must be of this run; {path} is of another: {differences}. Name another file")
        here, there = (_shapes(weights) for weights in (self._plain.state_dict(), state["model"]))
        if other := [name for name in {**here, **there} if here.get(name) != there.get(name)]:
            told = f"{other[0]} has {there.get(other[0], 'no place')} there, {here.get(other[0], 'no place')} here"
            raise ValueError(f"checkpoint must be of this model; {path} is of another: {told}. Name another file")
        self._plain.load_state_dict(state["model"])
        if state.get("objective") is not None:
            self.objective.load_state_dict(state["objective"])
        with torch.no_grad():
            for parameter, value in zip(self._own(), state["own"], strict=True):
                parameter.copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        if state["order"] is not None:
            self._generator().set_state(state["order"].cpu())
        set_random_state([each.cpu() for each in state["random"]], self.device)
        for name, value in state["history"].items():
            setattr(self.history, name, value)
        self.history.stopped_early = False
        return state.get("ended", False)

    @property
    def _plain(self) -> nn.Module:
        """The model, not what torch.compile puts around it, which would name its weights otherwise."""
        return getattr(self.model, "_orig_mod", self.model)

    def _own(self) -> list[nn.Parameter]:
        """The parameters that the objective brings, such as a projector's."""
        return list(self.objective.parameters()) if hasattr(self.objective, "parameters") else []

    def _generator(self) -> torch.Generator | None:
        """What the order of the examples is drawn from, if not from torch's default: the sampler's own, or the batches'."""
        by_batch, by_row = (getattr(self.batches, name, None) for name in ("batch_sampler", "sampler"))
        draws = getattr(by_batch, "sampler", None), by_batch, by_row, self.batches
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


def _shapes(weights: Mapping) -> dict[str, str]:
    return {name: f"shape {tuple(value.shape)}" for name, value in weights.items() if isinstance(value, torch.Tensor)}


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
