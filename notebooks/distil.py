"""Distil a teacher into a student of your own: python distil.py --help. From notebook 10 of the course."""
import argparse
import torch
from torch import nn
from course_lib import handed
from course_lib.dyed import DyedTeacher
from course_lib.loops import Distillation, HardLabels, evaluate, fit
from course_lib.schedules import cosine

def new_student(num_classes, width=16):
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(98 * width, num_classes),
    ).to(memory_format=torch.channels_last)

OPTIONS = (                                        # name, default, what --help says
    ("images", "", "Folder with a folder for each class, or with train and val. Else a sample."),
    ("teacher", "resnet18", "Name in torchvision, or timm:NAME, or hf:FOLDER."),
    ("weights", "", "The teacher's file: a state_dict, or .safetensors."),
    ("student", "", "Such a name. Else new_student, in this script."),
    ("student-weights", "", "The file that it starts from. Else it starts untrained."),
    ("out", "student.pt", "New file to write."), ("size", 0, "Pixels. Else declared."),
    ("mean", "", "Of pixels in 0 to 1, as 0.5,0.5,0.5."), ("std", "", "Likewise. Else declared."),
    ("lr", 3e-3, "Learning rate, falling to 0."), ("epochs", 20, "How often all is seen."),
    ("batch-size", 64, "Pictures a step."), ("workers", 2, "Processes that read pictures."),
    ("T", 2.0, "Temperature."), ("alpha", 0.9, "Weight of the soft term; 0: no teacher."),
    ("device", "cuda" if torch.cuda.is_available() else "cpu", "Where to compute."),
    ("new-head", False, "A head for your classes, trained on labels, instead of the teacher's."),
    ("anyway", False, "Go on although check_pair found something."))

def read_options(arguments):
    parser = argparse.ArgumentParser(description="Distil a teacher into a student of your own.")
    for name, default, about in OPTIONS:
        how = {"action": "store_true"} if default is False else {"type": type(default)}
        parser.add_argument(f"--{name}", default=default, help=f"{about} [{default}]", **how)
    options = parser.parse_args(arguments)
    if found := handed.refusal(vars(options)):
        parser.error(found)
    return options

def open_teacher(o, classes, batches):         # what check_pair advises to do with it goes here
    teacher = handed.load_teacher(o.teacher, o.weights) if o.images else DyedTeacher()
    if o.new_head:
        print("The head is new and learns first. All else in the teacher stays as it is.")
        teacher = handed.with_new_head(teacher, len(classes)).to(o.device)
        finished(handed.learn_head(teacher, batches, kept=handed.run_file(vars(o), ".teacher.pt")))
    return teacher.to(o.device)

def finished(history):
    if history.stopped_early:                      # at Ctrl-C, fit ends in good order
        raise SystemExit(f"Stopped after {history.epochs} epochs. Call again to go on.")

def say(history):
    loss, right = (history.by_epoch[name][-1] for name in ("loss", "validation_accuracy"))
    print(f"epoch {history.epochs}: loss {loss:.3f}, right {right:.1%}", flush=True)

def main(arguments=None):
    o, _ = read_options(arguments), torch.manual_seed(0)           # the same student each time
    inputs = handed.inputs_of(o.teacher, size=o.size, mean=o.mean, std=o.std)
    data = handed.open_images(o.images, inputs, batch_size=o.batch_size, workers=o.workers)
    n, objective, right = len(data.classes), HardLabels(), {}
    student = handed.load_student(o.student or new_student(n), n, o.student_weights)
    print(f"{n} classes; held out: {data.split}")
    if o.alpha:
        teacher = open_teacher(o, data.classes, data.train)
        handed.check_teacher(teacher, student.to(o.device), data, anyway=o.anyway)
        objective = Distillation(teacher, T=o.T, alpha=o.alpha)
        right["teacher"] = evaluate(teacher, data.held_out)
    finished(fit(student.to(o.device), data.train, objective, on_epoch=say, lr=cosine(o.lr, 0.0),
        epochs=o.epochs, validation=data.held_out, checkpoint=handed.run_file(vars(o), ".run")))
    right["student"] = evaluate(student, data.held_out)
    print("right:", ", ".join(f"{who} {share:.1%}" for who, share in right.items()))
    handed.save_student(student, data, vars(o), right)

if __name__ == "__main__":
    try:
        main()
    except (ImportError, OSError, ValueError) as error:    # they say what is needed
        raise SystemExit(f"Stopped: {error}")
