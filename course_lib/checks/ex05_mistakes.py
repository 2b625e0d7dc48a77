"""What goes wrong in exercise 5: the wrong answers that its check knows by name, their docstrings being the hints."""

import torch
import torch.nn.functional as F

from course_lib.checks.engine.core import Mistakes
from course_lib.losses import distillation_loss

wrong = Mistakes()


@wrong("train_step", "step", "the teacher is in train mode")
def teacher_in_train_mode(student, teacher, batch, optimizer, T, alpha):
    """BatchNorm takes its statistics from the batch in one mode and from training in the other; dropout is random in only
    one. Which does a teacher need?"""
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "step", "the student is in eval mode")
def student_in_eval_mode(student, teacher, batch, optimizer, T, alpha):
    """The student may come from an evaluation. In which mode does it learn?"""
    inputs, labels = batch
    with torch.no_grad():
        teacher_logits = teacher.eval()(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "step", "the gradients of earlier steps are still there")
def never_zeroed(student, teacher, batch, optimizer, T, alpha):
    """backward() adds to what is in `.grad`. What is in there when your step begins?"""
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher.eval()(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "step", "the optimizer makes no step, or one without gradients")
def no_step(student, teacher, batch, optimizer, T, alpha):
    """The statistics move, the weights don't. In which order do backward, the step and clearing the gradients
    come?"""
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher.eval()(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


@wrong("train_step", "step", "the loss does not depend on the student's parameters")
def exchanged(student, teacher, batch, optimizer, T, alpha):
    """backward() found nothing to differentiate. Is the student's forward pass recorded, and who comes first in the loss?"""
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher.eval()(inputs)
    loss = distillation_loss(teacher_logits, student(inputs), labels, T, alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "step", "teacher and student exchanged in the loss")
def exchanged_with_a_graph(student, teacher, batch, optimizer, T, alpha):
    """The student does not move, and the loss is not what it should be. Who comes first in `distillation_loss`?"""
    inputs, labels = batch
    student.train()
    loss = distillation_loss(teacher.eval()(inputs), student(inputs), labels, T, alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "step", "the loss is returned as a tensor")
def tensor_returned(student, teacher, batch, optimizer, T, alpha):
    """A tensor may hold on to its graph, and then the whole step stays in memory. The text asks for a number."""
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher.eval()(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@wrong("train_step", "step", "alpha and 1 − alpha exchanged")
def alpha_flipped(student, teacher, batch, optimizer, T, alpha):
    """alpha weighs the teacher's part."""
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher.eval()(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels, T, 1 - alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "step", "T and alpha are not passed on")
def defaults(student, teacher, batch, optimizer, T, alpha):
    """The loss has defaults of its own for them. Does it get yours?"""
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher.eval()(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "step", "only the labels are learned from")
def labels_only(student, teacher, batch, optimizer, T, alpha):
    """Nothing of the teacher arrives at the student."""
    inputs, labels = batch
    student.train()
    loss = F.cross_entropy(student(inputs), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "frozen", "eval() taken for frozen: the teacher got gradients")
def gradients_for_the_teacher(student, teacher, batch, optimizer, T, alpha):
    """eval() changes what some layers do, not what autograd records. What switches the recording off?"""
    inputs, labels = batch
    student.train()
    teacher_logits, student_logits = teacher.eval()(inputs), student(inputs)
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    soft, hard = T**2 * F.kl_div(log_q, p, reduction="batchmean"), F.cross_entropy(student_logits, labels)
    optimizer.zero_grad()
    loss = alpha * soft + (1 - alpha) * hard
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "frozen", "the teacher is in train mode")
def statistics_move(student, teacher, batch, optimizer, T, alpha):
    """The weights did not move, but the statistics of BatchNorm are part of the teacher, too. In which mode do they
    move with every batch?"""
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train", "loop", "one epoch, however many are asked for")
def one_epoch(student, teacher, batches, optimizer, epochs, T, alpha):
    """How often does your loop go through the batches?"""
    losses = []
    for inputs, labels in batches:
        student.train()
        with torch.no_grad():
            teacher_logits = teacher.eval()(inputs)
        loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return [sum(losses) / len(losses)]


@wrong("train", "loop", "only the first batch of each epoch")
def first_batch(student, teacher, batches, optimizer, epochs, T, alpha):
    """Is there a `return` or a `break` in the inner loop?"""
    history = []
    for _ in range(epochs):
        for inputs, labels in batches:
            student.train()
            with torch.no_grad():
                teacher_logits = teacher.eval()(inputs)
            loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
            break
    return history


@wrong("train", "loop", "the loss of the last batch instead of the mean")
def last_batch(student, teacher, batches, optimizer, epochs, T, alpha):
    """The student is right, the list is not. Which batches does each of its numbers speak of?"""
    history = []
    for _ in range(epochs):
        for inputs, labels in batches:
            student.train()
            with torch.no_grad():
                teacher_logits = teacher.eval()(inputs)
            loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        history.append(loss.item())
    return history


@wrong("train", "loop", "the sum of an epoch's losses instead of the mean")
def epoch_sum(student, teacher, batches, optimizer, epochs, T, alpha):
    """The student is right, the list is not. With twice as many batches, what would your numbers be?"""
    history = []
    for _ in range(epochs):
        total = 0.0
        for inputs, labels in batches:
            student.train()
            with torch.no_grad():
                teacher_logits = teacher.eval()(inputs)
            loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        history.append(total)
    return history


@wrong("train", "loop", "a mean over all epochs so far")
def running_mean(student, teacher, batches, optimizer, epochs, T, alpha):
    """The student is right, the list is not. Of which epoch do the losses in your second mean come?"""
    history, losses = [], []
    for _ in range(epochs):
        for inputs, labels in batches:
            student.train()
            with torch.no_grad():
                teacher_logits = teacher.eval()(inputs)
            loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        history.append(sum(losses) / len(losses))
    return history


@wrong("train", "loop", "the losses are returned as tensors")
def tensors(student, teacher, batches, optimizer, epochs, T, alpha):
    """The numbers are right, but they are tensors, and may hold on to their graphs. The text asks for floats."""
    history = []
    for _ in range(epochs):
        losses = []
        for inputs, labels in batches:
            student.train()
            with torch.no_grad():
                teacher_logits = teacher.eval()(inputs)
            loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss)
        history.append(sum(losses) / len(losses))
    return history


@wrong("train", "loop", "the batches come in another order")
def another_order(student, teacher, batches, optimizer, epochs, T, alpha):
    """In which order does the text want them?"""
    history = []
    for _ in range(epochs):
        losses = []
        for inputs, labels in reversed(batches):
            student.train()
            with torch.no_grad():
                teacher_logits = teacher.eval()(inputs)
            loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        history.append(sum(losses) / len(losses))
    return history


@wrong("train", "loop", "an optimizer of its own")
def own_optimizer(student, teacher, batches, optimizer, epochs, T, alpha):
    """Whoever calls you has chosen an optimizer and its learning rate. Is it the one that makes your steps?"""
    history, own = [], torch.optim.SGD(student.parameters(), lr=0.1)
    for _ in range(epochs):
        losses = []
        for inputs, labels in batches:
            student.train()
            with torch.no_grad():
                teacher_logits = teacher.eval()(inputs)
            loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
            own.zero_grad()
            loss.backward()
            own.step()
            losses.append(loss.item())
        history.append(sum(losses) / len(losses))
    return history


@wrong("train", "loop", "a loss for every step instead of every epoch")
def every_step(student, teacher, batches, optimizer, epochs, T, alpha):
    """How many numbers should come back from 2 epochs?"""
    history = []
    for _ in range(epochs):
        for inputs, labels in batches:
            student.train()
            with torch.no_grad():
                teacher_logits = teacher.eval()(inputs)
            loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
    return history
