"""Distil a teacher into a student of your own: python distil.py --help. From notebook 10 of the course."""

import argparse
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import ImageFolder
from torchvision.models import get_model
from torchvision.transforms import v2

from course_lib.dyed import DyedTeacher, dyed_fashion
from course_lib.loops import Distillation, HardLabels, evaluate, fit
from course_lib.pairs import check_pair
from course_lib.schedules import cosine

def new_student(num_classes, width=16):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(98 * width, num_classes),
    ).to(memory_format=torch.channels_last)

def load_teacher(name, file, num_classes):         # and whether it is ready, head and all
    teacher = get_model(name, weights=None, num_classes=num_classes)
    theirs = torch.load(file, map_location="cpu", weights_only=True) if file else {}   # numbers
    ours = teacher.state_dict()
    fitting = {k: v for k, v in theirs.items() if k in ours and v.shape == ours[k].shape}
    if len(fitting) < len(theirs) - 2:             # a head for other classes may be left out
        raise SystemExit(f"{file} does not hold the weights of {name}")
    teacher.load_state_dict(fitting, strict=False)
    return teacher, len(fitting) == len(ours)

def picture_data(folder, size, batch_size=64):
    to_inputs = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True),
                            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    varied = [v2.RandomResizedCrop(size, (0.5, 1.0)), v2.RandomHorizontalFlip(), to_inputs]
    plain = v2.Compose([v2.Resize(size), v2.CenterCrop(size), to_inputs])
    train, test = ImageFolder(folder, v2.Compose(varied)), ImageFolder(folder, plain)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0)).tolist()
    train, held_out = Subset(train, order[len(order) // 5:]), Subset(test, order[:len(order) // 5])
    shuffle, last = torch.Generator().manual_seed(0), len(train) > batch_size
    train = DataLoader(train, batch_size, shuffle=True, generator=shuffle, drop_last=last)
    return train, held_out, len(test.classes)

def read_options(arguments):
    parser = argparse.ArgumentParser(description="Distil a teacher into a student of your own.")
    for name, default, about in (
            ("images", None, "a folder with one of pictures a class; else the course's sample"),
            ("teacher", "resnet18", "a model of torchvision, by its name there"),
            ("weights", None, "a file, its state_dict; without, it learns from your labels"),
            ("device", "cpu", "cpu or cuda"), ("size", 64, "of the images, in pixels"),
            ("epochs", 20, "passes over the images"), ("out", "student.pt", "where it is saved")):
        parser.add_argument(f"--{name}", default=default, type=type(default or ""), help=about)
    options = parser.parse_args(arguments)
    if Path(options.out).exists():
        parser.error(f"{options.out} is there already: move it, or name another file with --out")
    return options

def main(arguments=None):
    options = read_options(arguments)
    (train, test), num_classes, teacher, ready = dyed_fashion(), 10, DyedTeacher(), True
    if options.images:
        train, test, num_classes = picture_data(options.images, options.size)
        teacher, ready = load_teacher(options.teacher, options.weights, num_classes)
    teacher, student = (model.to(options.device) for model in (teacher, new_student(num_classes)))
    if not ready:
        print(fit(teacher, train, HardLabels(), epochs=options.epochs, lr=cosine(1e-3, 0.0)))
    test = DataLoader(test, 256)
    print(check_pair(teacher, student, next(iter(test))))
    history = fit(student, train, Distillation(teacher, T=2, alpha=0.9), epochs=options.epochs,
                  lr=cosine(3e-3, 0.0), checkpoint=options.out + ".run")  # goes on after a crash
    print(f"right: teacher {evaluate(teacher, test):.1%}, student {evaluate(student, test):.1%}")
    if not history.stopped_early:
        torch.save(student.state_dict(), options.out)
        Path(options.out + ".run").unlink()

if __name__ == "__main__":
    main()
