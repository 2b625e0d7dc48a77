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
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(98 * width, num_classes),
    ).to(memory_format=torch.channels_last)

def load_teacher(name, file, num_classes):         # and whether its head is ready
    teacher = get_model(name, weights=None, num_classes=num_classes)
    theirs = torch.load(file, map_location="cpu", weights_only=True) if file else {}   # numbers
    theirs = {k.removeprefix("module."): v for k, v in theirs.get("state_dict", theirs).items()}
    ours = teacher.state_dict()
    fitting = {k: v for k, v in theirs.items() if k in ours and v.shape == ours[k].shape}
    if file and (theirs.keys() != ours.keys() or len(fitting) < len(ours) - 2):    # 2: a head
        raise SystemExit(f"{file} does not hold the weights of {name}")
    teacher.load_state_dict(fitting, strict=False)
    return teacher, len(fitting) == len(ours)

def picture_data(folder, size, batch_size=64):
    to_inputs = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True),
                 v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    varied = [v2.RandomResizedCrop(size, (0.5, 1.0)), v2.RandomHorizontalFlip(), *to_inputs]
    plain = v2.Compose([v2.Resize(size), v2.CenterCrop(size), *to_inputs])
    train, test = ImageFolder(folder, v2.Compose(varied)), ImageFolder(folder, plain)
    if {"train", "val", "test"} & set(test.classes):
        raise SystemExit(f"{folder} holds {test.classes}: name one whose folders are the classes")
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0)).tolist()
    train, held_out = Subset(train, order[len(order) // 5:]), Subset(test, order[:len(order) // 5])
    train = DataLoader(train, batch_size, shuffle=True, drop_last=len(train) > batch_size,
                       generator=torch.Generator().manual_seed(0))
    return train, held_out, test.classes

def read_options(arguments):
    parser = argparse.ArgumentParser(description="Distil a teacher into a student of your own.")
    for name, default, about in (("images", "", "holds one folder per class; else a sample"),
            ("out", "student.pt", "a new file"), ("teacher", "resnet18", "of torchvision"),
            ("weights", "", "its state_dict"), ("device", "cpu", "or cuda"), ("size", 224, ""),
            ("epochs", 20, "over images"), ("alpha", 0.9, "0: labels"), ("anyway", "no", "yes")):
        parser.add_argument(f"--{name}", default=default, type=type(default), help=about)
    options = parser.parse_args(arguments)
    if Path(options.out).exists():
        parser.error(f"{options.out} is there already: move it, or name another file with --out")
    return options

def main(arguments=None):
    options, _ = read_options(arguments), torch.manual_seed(0)     # the same student each time
    (train, test), classes, teacher, ready = dyed_fashion(), [*range(10)], DyedTeacher(), True
    if options.images:
        train, test, classes = picture_data(options.images, options.size)
        teacher, ready = load_teacher(options.teacher, options.weights, len(classes))
    teacher, student = (each.to(options.device) for each in (teacher, new_student(len(classes))))
    if not ready:
        print("The teacher's head is new, and learns first:", fit(teacher, train, HardLabels(),
              epochs=options.epochs, lr=cosine(1e-3, 0.0), checkpoint=options.out + ".teacher"))
    test = DataLoader(test, 256)
    if (found := check_pair(teacher, student, next(iter(test)))) and options.anyway != "yes":
        raise SystemExit(f"{found}\nFix that first, or go on in spite of it: --anyway yes")
    print(history := fit(student, train, Distillation(teacher, T=2, alpha=options.alpha),
          epochs=options.epochs, lr=cosine(3e-3, 0.0), checkpoint=options.out + ".run"))
    print(f"right: teacher {evaluate(teacher, test):.1%}, student {evaluate(student, test):.1%}")
    if not history.stopped_early:
        torch.save({"weights": student.state_dict(), "classes": classes}, options.out)
        Path(options.out + ".run").unlink()        # OUT.teacher stays: it may have taken long

if __name__ == "__main__":
    main()
