"""A run of `fit` on disk: written after every epoch, read by the next call, which goes on as if nothing had come between."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from course_lib.basics import random_state, set_random_state
from course_lib.batches import ShuffledBatches
from course_lib.history import History

REMEMBERED = ("objective", "planned_epochs", "steps_per_epoch", "by_step", "by_epoch", "stopped_early")  # of a history


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

    @property
    def settings(self) -> dict[str, int | str]:
        """What must be the same in the call that goes on with a run."""
        of = self.history
        named = {"objective": of.objective, "epochs": of.planned_epochs, "steps_per_epoch": of.steps_per_epoch}
        return {**named, "batch_size": self.batch_size, "seed": self.seed}

    def save(self, path: Path) -> None:
        """Write the run to `path`, in one move, so that a machine that stops halfway leaves the epoch before."""
        state = {
            "settings": self.settings,
            "model": self.model.state_dict(),
            "own": [parameter.detach() for parameter in self._own()],
            "optimizer": self.optimizer.state_dict(),
            "order": None if self._generator() is None else self._generator().get_state(),
            "random": random_state(self.device),
            "history": {name: getattr(self.history, name) for name in REMEMBERED},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(path.name + ".part")
        torch.save(state, beside)
        os.replace(beside, path)

    def load(self, path: Path) -> None:
        """Go back to where the run at `path` was. ValueError if it is another run, or none: it is left as it is."""
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            saved = state["settings"]
        except Exception as error:
            raise ValueError(f"checkpoint must be a file that fit wrote, or not there yet; {path} can't be read") from error
        other = [name for name, value in self.settings.items() if saved.get(name) != value]
        if other:
            differences = "; ".join(f"{name} {saved.get(name)!r} there, {self.settings[name]!r} here" for name in other)
            raise ValueError(f"checkpoint must be of this run; {path} is of another: {differences}. Name another file")
        self.model.load_state_dict(state["model"])
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

    def _own(self) -> list[nn.Parameter]:
        """The parameters that the objective brings, such as a projector's."""
        return list(self.objective.parameters()) if hasattr(self.objective, "parameters") else []

    def _generator(self) -> torch.Generator | None:
        """What the order of the examples is drawn from, if not from torch's default: the sampler's own, or the batches'."""
        by_batch, by_row = (getattr(self.batches, name, None) for name in ("batch_sampler", "sampler"))
        draws = getattr(by_batch, "sampler", None), by_batch, by_row, self.batches
        return next((each.generator for each in draws if getattr(each, "generator", None) is not None), None)


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
