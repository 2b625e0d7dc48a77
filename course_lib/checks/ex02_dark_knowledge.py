"""Exercise 2: which classes a teacher finds alike, and naming a class that the student never saw."""

import torch
import torch.nn.functional as F

from course_lib.checks.engine.core import Exercise, Part
from course_lib.checks.engine.inputs import make_generator, random_integers, random_normal
from course_lib.checks.engine.mistakes import Mistakes

wrong = Mistakes()


def _teacher_logits(seed, purpose, n=60, num_classes=5):
    """Logits of which every class is the largest in some rows, and in not equally many."""
    g = make_generator(seed, purpose)
    classes = torch.cat([torch.arange(num_classes), random_integers(g, 0, num_classes - 1, n - num_classes)])
    return random_normal(g, n, num_classes, scale=1.5) + 4 * F.one_hot(classes, num_classes)


def _observe_similarity(recorder, answers, seed):
    for purpose, (num_classes, T) in enumerate([(5, 4.0), (3, 1.0), (6, 2.0)]):
        logits = _teacher_logits(seed, purpose, num_classes=num_classes)
        label = f"the likeness of {num_classes} classes at T = {T:g}"
        recorder.call(
            label,
            answers["class_similarity"],
            {"teacher_logits": logits, "T": T},
            hint="What do the rows of your matrix add up to?",
        )


def _observe_nearest(recorder, answers, seed):
    for purpose, num_classes in enumerate((5, 7, 10)):
        g = make_generator(seed, 10 + purpose)
        # Whole numbers without a repetition, so that there is one nearest class; the largest of each row on the diagonal.
        order = torch.randperm(num_classes**2, generator=g).view(num_classes, num_classes)
        similarity = ((order + num_classes**2 * torch.eye(num_classes)) / (2 * num_classes**2)).float()
        recorder.call(f"the nearest of {num_classes} classes", answers["nearest_classes"], {"similarity": similarity})


def _observe_unseen(recorder, answers, seed):
    # The third is named too often, so that its bias has to be below zero.
    for purpose, (n, num_classes, unseen, share, shift) in enumerate(
        [(200, 5, 4, 0.1, -4), (120, 5, 0, 0.25, -4), (90, 7, 2, 0.2, 2)]
    ):
        logits = random_normal(make_generator(seed, 20 + purpose), n, num_classes, scale=1.5)
        logits[:, unseen] += shift
        recorder.call(
            f"the corrected logits for share = {share:g}",
            answers["name_unseen"],
            {"student_logits": logits, "unseen": unseen, "share": share},
            verdict=_named(logits.double(), unseen, share),
        )


def _named(logits, unseen, share):
    def verdict(found):
        added = found.tensor() - logits
        others = [k for k in range(logits.shape[1]) if k != unseen]
        if not torch.isfinite(added).all():
            return "The corrected logits hold NaN or infinity."
        if added[:, others].abs().max() > 1e-4:
            return "The logits of other classes have changed as well."
        if added[:, unseen].max() - added[:, unseen].min() > 1e-3:
            return "The correction differs from row to row; it has to be one number, since it stands for one bias."
        before, after = ((x.argmax(1) == unseen).double().mean().item() for x in (logits, found.tensor()))
        if abs(after - share) <= 1.01 / len(logits):
            return None
        if (added[0, unseen] < 0) == (share > before):
            way = "less" if share > before else "more"
            return f"The unseen class has been made {way} likely than it was."
        if abs(after - (1 - share)) <= 1.01 / len(logits):
            return f"The unseen class comes first in {1 - share:.0%} of the rows; it should come first in {share:.0%}."
        if abs(after - before) <= 1.01 / len(logits):
            return "The unseen class comes first no more often than before."
        amount = "few" if after < share else "many"
        return f"The unseen class comes first in too {amount} rows; it should come first in {share:.0%}."

    return verdict


def class_similarity(teacher_logits, T):
    soft, classes = torch.softmax(teacher_logits.double() / T, 1), teacher_logits.argmax(1)
    weights = F.one_hot(classes, teacher_logits.shape[1]).double()
    return (weights.T @ soft) / weights.sum(0)[:, None]


def nearest_classes(similarity):
    return similarity.masked_fill(torch.eye(len(similarity), dtype=torch.bool), -torch.inf).argmax(1)


def name_unseen(student_logits, unseen, share):
    others = torch.cat([student_logits[:, :unseen], student_logits[:, unseen + 1 :]], 1).max(1).values
    lacking = (others - student_logits[:, unseen]).sort().values
    count = round(share * len(lacking))
    bias = (lacking[count - 1] + lacking[count]) / 2
    return student_logits + bias * F.one_hot(torch.tensor(unseen), student_logits.shape[1])


@wrong("class_similarity", "similarity", "the logits are averaged instead of the probabilities")
def mean_logits(teacher_logits, T):
    """The mean of several softmaxes is not the softmax of the mean. Which of them is a mean of soft targets?"""
    classes = teacher_logits.argmax(1)
    rows = [torch.softmax(teacher_logits[classes == k].mean(0) / T, 0) for k in range(teacher_logits.shape[1])]
    return torch.stack(rows)


@wrong("class_similarity", "similarity", "T has no effect")
def without_temperature(teacher_logits, T):
    """At T = 1 there is little to see besides the first class."""
    soft, classes = torch.softmax(teacher_logits, 1), teacher_logits.argmax(1)
    return torch.stack([soft[classes == k].mean(0) for k in range(teacher_logits.shape[1])])


@wrong("class_similarity", "similarity", "the first class of each row is counted, the rest is thrown away")
def hard_counts(teacher_logits, T):
    """Where are the small probabilities, which the exercise is about?"""
    hard, classes = F.one_hot(teacher_logits.argmax(1), teacher_logits.shape[1]).float(), teacher_logits.argmax(1)
    return torch.stack([hard[classes == k].mean(0) for k in range(teacher_logits.shape[1])])


@wrong("class_similarity", "similarity", "rows and columns are exchanged")
def transposed(teacher_logits, T):
    """Row k belongs to the examples that the teacher puts into class k. What should it add up to?"""
    soft, classes = torch.softmax(teacher_logits / T, 1), teacher_logits.argmax(1)
    return torch.stack([soft[classes == k].mean(0) for k in range(teacher_logits.shape[1])], 1)


@wrong("class_similarity", "similarity", "divided by the number of all examples")
def all_examples(teacher_logits, T):
    """Add up a row: by how many examples did you divide, and how many are in its class?"""
    soft, classes = torch.softmax(teacher_logits / T, 1), teacher_logits.argmax(1)
    return torch.stack([soft[classes == k].sum(0) / len(soft) for k in range(teacher_logits.shape[1])])


@wrong("nearest_classes", "nearest", "every class is its own nearest")
def itself(similarity):
    """A class is always most like itself. Which class comes after that?"""
    return similarity.argmax(1)


@wrong("nearest_classes", "nearest", "columns are searched instead of rows")
def columns(similarity):
    """Likeness is not the same both ways. Row k says what class k looks like to the teacher."""
    others = similarity.clone()
    others.fill_diagonal_(-1)
    return others.argmax(0)


@wrong("nearest_classes", "nearest", "the least similar class")
def farthest(similarity):
    """You found the class with the smallest probability."""
    return similarity.argmin(1)


@wrong("nearest_classes", "nearest", "the argument is changed in place")
def in_place(similarity):
    """Whoever calls you may still want the diagonal."""
    similarity.fill_diagonal_(-1)
    return similarity.argmax(1)


@wrong("name_unseen", "unseen", "the bias has the wrong sign")
def lowered(student_logits, unseen, share):
    """The class was never right in training. Is its logit too high or too low?"""
    corrected = student_logits.clone()
    others = student_logits.clone()
    others[:, unseen] = -torch.inf
    corrected[:, unseen] -= (others.max(1).values - student_logits[:, unseen]).quantile(share)
    return corrected


@wrong("name_unseen", "unseen", "the wrong end of the sorted list")
def wrong_end(student_logits, unseen, share):
    """Which rows need the smallest bias to change their answer: are those the first to be renamed?"""
    corrected = student_logits.clone()
    others = student_logits.clone()
    others[:, unseen] = -torch.inf
    corrected[:, unseen] += (others.max(1).values - student_logits[:, unseen]).quantile(1 - share)
    return corrected


@wrong("name_unseen", "unseen", "a bias for every row")
def bias_a_row(student_logits, unseen, share):
    """A bias belongs to a class, not to an example: one number for all rows."""
    corrected = student_logits.clone()
    corrected[:, unseen] = student_logits.max(1).values + 1
    return corrected


@wrong("name_unseen", "unseen", "the bias never goes below zero")
def never_lowered(student_logits, unseen, share):
    """A class may also be named too often. Which way does the bias have to go then?"""
    corrected = student_logits.clone()
    others = student_logits.clone()
    others[:, unseen] = -torch.inf
    corrected[:, unseen] += (others.max(1).values - student_logits[:, unseen]).quantile(share).clamp(min=0)
    return corrected


@wrong("name_unseen", "unseen", "every class gets the bias")
def every_class(student_logits, unseen, share):
    """A number that is added to all logits of a row changes no softmax and no order."""
    others = student_logits.clone()
    others[:, unseen] = -torch.inf
    return student_logits + (others.max(1).values - student_logits[:, unseen]).quantile(share)


exercise = Exercise(
    number=2,
    name="dark_knowledge",
    title="dark knowledge",
    minutes=20,
    parts=(
        Part("similarity", "Which classes are alike", 2, ("class_similarity",), _observe_similarity, "likeness"),
        Part("nearest", "The nearest class", 1, ("nearest_classes",), _observe_nearest, "nearest class"),
        Part("unseen", "A class that the student never saw", 3, ("name_unseen",), _observe_unseen, "unseen class"),
    ),
    right={"class_similarity": class_similarity, "nearest_classes": nearest_classes, "name_unseen": name_unseen},
    mistakes=tuple(wrong),
    library=("course_lib.checks",),
    asks="which classes a teacher finds alike; the bias that names a class never seen",
    goes_with="01",
)
