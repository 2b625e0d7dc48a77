"""A run of the script: looked at before it begins, tied to what it was begun with, and its student saved with all it needs."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from course_lib.checkpoints import hold_to
from course_lib.handed.pictures import Pictures
from course_lib.handed.weights import fingerprint, listed
from course_lib.loops import predict
from course_lib.metrics import accuracy
from course_lib.pairs import check_pair
from course_lib.pairs.trials import REFUSALS

FILES = ("weights", "student_weights")  # options that name a file, whose contents count
FREE = ("device", "workers", "anyway")  # options that may change from one call to the next: they change no number


def refusal(options: Mapping[str, object]) -> str:
    """Return in words why a run with these options must not begin, "" where nothing is in its way.

    A file that would be overwritten, or weights that nobody would read: without a folder of images the teacher is the course's.
    """
    if Path(str(options["out"])).exists():
        return f"{options['out']} is there already: move it, or name another file with --out"
    if options["weights"] and not options["images"]:
        return "--weights goes with --images: without a folder, the course's own teacher and its sample are taken"
    return ""


def check_teacher(teacher: nn.Module, student: nn.Module, data: Pictures, *, anyway: bool = False) -> None:
    """Print what `check_pair` says of the pair, and how often the teacher is right on a batch as augmented for training.

    Raises ValueError where something is named, unless `anyway`; and always where the teacher refuses the images, or has another
    number of outputs than there are classes, since soft targets then have no student's logits to go with.
    """
    found = check_pair(teacher, student, next(iter(data.held_out)))
    print(found)
    inputs, labels = next(iter(data.train))
    try:
        logits = predict(teacher, inputs)
    except REFUSALS as error:  # a transformer at another size, say, which check_pair has just named
        raise ValueError(f"teacher must take the images as prepared, {data.inputs}; it says: {error}") from error
    print(f"Of {len(labels)} training images, as augmented, it is right on {accuracy(logits, labels):.0%}.")
    outputs, n = logits.shape[1], len(data.classes)
    if outputs != n:
        raise ValueError(
            f"teacher must have an output for each of the {n} classes ({listed(data.classes)}), got {outputs}. Take those "
            "named above, in open_teacher, or a new head for your classes: --new-head"
        )
    if found and not anyway:
        raise ValueError("teacher, student and images must fit together: put right what is named above, or take --anyway")


def run_file(options: Mapping[str, object], ending: str) -> Path:
    """Return the path of a file of this run, beside options["out"], if the run goes on as it began.

    options: all those of the run, with "out" among them. The first call writes them to OUT.json, with the fingerprints of the
    files "weights" and "student_weights"; later ones raise ValueError, naming what differs. device, workers and anyway may.
    """
    held = {name: value for name, value in options.items() if name not in FREE}
    held |= {f"fingerprint of {name}": fingerprint(options[name]) for name in FILES if options.get(name)}
    hold_to(f"{options['out']}.json", held)
    return Path(f"{options['out']}{ending}")


def save_student(student: nn.Module, data: Pictures, options: Mapping[str, object], right: Mapping[str, float | None]) -> None:
    """Write a student to options["out"], with what its next user needs, and remove what only the run needed.

    The file holds numbers and text alone: "weights", a state_dict; "classes", by label; "inputs", as `prepare` takes them;
    "options"; "right", name -> share of the held-out images; "held_out", which images these are. OUT.run is removed, and
    OUT.json unless a teacher with a new head lies beside it. Raises FileExistsError where options["out"] is there already.
    """
    out = Path(str(options["out"]))
    if out.exists():
        raise FileExistsError(f"out must not be there yet, got {out}, which is")
    weights = {name: value.cpu() for name, value in student.state_dict().items()}  # for a next user without a GPU
    held = {"weights": weights, "classes": data.classes, "inputs": data.inputs}
    torch.save({**held, "options": dict(options), "right": dict(right), "held_out": data.split}, out)
    Path(f"{out}.run").unlink(missing_ok=True)
    if not Path(f"{out}.teacher.pt").exists():
        Path(f"{out}.json").unlink(missing_ok=True)
