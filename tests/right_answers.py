"""For every part of every exercise, right answers written in ways of their own: the checks must take them all.

RIGHT: exercise -> part -> answers, each a function for the part's answer. They are written as learners write them, and
use nothing of the checks.
"""

import copy
import math
import statistics

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from course_lib import loops, schedules
from course_lib.losses import distillation_loss

# ---- 1 ----


def torchs_softmax(logits, T):
    return torch.softmax(logits / T, -1)


def softmax_by_einsum(logits, T):
    powers = torch.exp(logits / T)
    return torch.einsum("...i,...->...i", powers, 1 / powers.sum(-1))


def softmax_by_logsumexp(logits, T):
    logits = logits.double() / T
    return torch.exp(logits - torch.logsumexp(logits, -1, keepdim=True))


def softmax_by_shifting(logits, T):
    shifted = (logits - logits.max(dim=-1, keepdim=True).values) / T
    return shifted.exp() / shifted.exp().sum(dim=-1, keepdim=True)


def entropy_by_entr(probabilities):
    return torch.special.entr(probabilities).sum(-1) / math.log(2)


def entropy_by_clamping(probabilities):
    return -(probabilities.double() * probabilities.double().clamp_min(1e-300).log2()).sum(-1)


def entropy_by_einsum(probabilities):
    return -torch.einsum("...i,...i->...", probabilities, torch.nan_to_num(probabilities.log2(), neginf=0.0))


# ---- 2 ----


def similarity_by_loop(teacher_logits, T):
    p, classes, N = torch.softmax(teacher_logits / T, 1), teacher_logits.argmax(1), teacher_logits.shape[1]
    rows = []
    for k in range(N):
        rows.append(p[classes == k].sum(0) / (classes == k).sum())
    return torch.stack(rows)


def similarity_by_index_add(teacher_logits, T):
    p, classes, N = torch.softmax(teacher_logits.double() / T, 1), teacher_logits.argmax(1), teacher_logits.shape[1]
    sums = torch.zeros(N, N, dtype=torch.float64).index_add_(0, classes, p)
    return sums / torch.bincount(classes, minlength=N)[:, None]


def similarity_by_einsum(teacher_logits, T):
    member = F.one_hot(teacher_logits.argmax(1), teacher_logits.shape[1]).float()
    return torch.einsum("nk,ni->ki", member / member.sum(0), torch.softmax(teacher_logits / T, 1))


def second_of_the_sorted(similarity):
    return similarity.topk(2, dim=1).indices[:, 1]


def without_the_diagonal(similarity):
    return (similarity - 2 * torch.eye(len(similarity))).argmax(1)


def by_two_loops(similarity):
    best = []
    for k, row in enumerate(similarity.tolist()):
        best.append(max((j for j in range(len(row)) if j != k), key=lambda j: row[j]))
    return torch.tensor(best)


def margins(student_logits, unseen):
    others = student_logits.clone()
    others[:, unseen] = -torch.inf
    return others.amax(1) - student_logits[:, unseen]


def bias_by_quantile(student_logits, unseen, share):
    corrected = student_logits.clone()
    corrected[:, unseen] = corrected[:, unseen] + torch.quantile(margins(student_logits, unseen), share)
    return corrected


def bias_by_kthvalue(student_logits, unseen, share):
    count = int(share * len(student_logits) + 0.5)
    bias = torch.kthvalue(margins(student_logits, unseen), count).values + 1e-4
    return student_logits + bias * torch.eye(student_logits.shape[1])[unseen]


def bias_by_bisection(student_logits, unseen, share):
    low, high, corrected = -100.0, 100.0, student_logits.double()
    for _ in range(60):
        bias = (low + high) / 2
        corrected = student_logits.double()
        corrected[:, unseen] += bias
        if (corrected.argmax(1) == unseen).double().mean() < share:
            low = bias
        else:
            high = bias
    corrected = student_logits.double()
    corrected[:, unseen] += high
    return corrected


# ---- 3 ----


def gradient_by_hand(student_logits, teacher_logits, T):
    q, p = (torch.exp(logits / T) for logits in (student_logits, teacher_logits))
    return T * (q / q.sum(1, keepdim=True) - p / p.sum(1, keepdim=True))


def gradient_by_autograd(student_logits, teacher_logits, T):
    z = student_logits.clone().requires_grad_()
    log_q, log_p = F.log_softmax(z / T, -1), F.log_softmax(teacher_logits / T, -1)
    (T**2 * F.kl_div(log_q, log_p, log_target=True, reduction="sum")).backward()
    return z.grad


def gradient_by_einsum(student_logits, teacher_logits, T):
    both = torch.softmax(torch.stack([student_logits, teacher_logits]) / T, -1)
    return T * torch.einsum("s,sni->ni", torch.tensor([1.0, -1.0], dtype=both.dtype), both)


def log_size(z, v, T):
    return ((torch.softmax(z / T, -1) - torch.softmax(v / T, -1)) / T).square().sum(-1).sqrt().mean().log()


def slope_by_difference(student_logits, teacher_logits, T):
    h = 1e-3
    up, down = (log_size(student_logits, teacher_logits, T * math.exp(step)) for step in (h, -h))
    return float(up - down) / (2 * h)


def slope_by_one_side(student_logits, teacher_logits, T):
    here, there = (log_size(student_logits, teacher_logits, t) for t in (T, T * (1 + 1e-5)))
    return (there - here) / math.log(1 + 1e-5)


def slope_by_autograd(student_logits, teacher_logits, T):
    T = torch.tensor(float(T), dtype=torch.float64, requires_grad=True)
    log_size(student_logits, teacher_logits, T).backward()
    return (T * T.grad).item()


def limit_centred(student_logits, teacher_logits):
    z = student_logits - student_logits.mean(1, keepdim=True)
    v = teacher_logits - teacher_logits.mean(1, keepdim=True)
    return (z - v) / z.size(1)


def limit_by_matrix(student_logits, teacher_logits):
    N = student_logits.shape[1]
    centring = torch.eye(N, dtype=student_logits.dtype) - 1 / N
    return torch.einsum("ni,ij->nj", student_logits - teacher_logits, centring) / N


# ---- 4 ----


def soft_by_kl_div(student_logits, teacher_logits, T):
    log_q, p = F.log_softmax(student_logits / T, dim=1), F.softmax(teacher_logits / T, dim=1)
    return F.kl_div(log_q, p, reduction="batchmean") * T * T


def soft_in_double(student_logits, teacher_logits, T):
    log_q, log_p = ((logits.double() / T).log_softmax(1) for logits in (student_logits, teacher_logits))
    total = 0.0
    for row_q, row_p in zip(log_q, log_p, strict=True):
        total = total + (row_p.exp() * (row_p - row_q)).sum()
    return T**2 * total / len(log_q)


def soft_by_cross_entropy(student_logits, teacher_logits, T):
    p = F.softmax(teacher_logits / T, dim=1)
    entropy = torch.special.entr(p).sum(1).mean()
    return T**2 * (F.cross_entropy(student_logits / T, p) - entropy)


def soft_by_einsum(student_logits, teacher_logits, T):
    z, v = (F.log_softmax(logits / T, 1) for logits in (student_logits, teacher_logits))
    return T**2 * torch.einsum("bi,bi->", v.exp(), v - z) / z.shape[0]


def whole(soft):
    def loss(student_logits, teacher_logits, labels, T, alpha):
        hard = F.cross_entropy(student_logits, labels)
        return alpha * soft(student_logits, teacher_logits.detach(), T) + (1 - alpha) * hard

    return loss


def whole_by_gathering(student_logits, teacher_logits, labels, T, alpha):
    with torch.no_grad():
        log_p = torch.log_softmax(teacher_logits / T, -1)
    soft = T**2 * F.kl_div(torch.log_softmax(student_logits / T, -1), log_p, log_target=True, reduction="none").sum(-1)
    hard = -torch.log_softmax(student_logits, -1).gather(1, labels[:, None])[:, 0]
    return torch.lerp(hard, soft, alpha).mean()


# ---- 5 ----


def step_with_cross_entropy(student, teacher, batch, optimizer, T, alpha):
    optimizer.zero_grad(set_to_none=False)
    inputs, labels = batch
    teacher.eval()
    student.train()
    p = F.softmax(teacher(inputs).detach() / T, -1)
    z = student(inputs)
    loss = alpha * T**2 * F.cross_entropy(z / T, p) + (1 - alpha) * F.cross_entropy(z, labels)
    loss.backward()
    optimizer.step()
    return loss.item() - alpha * T**2 * torch.special.entr(p).sum(-1).mean().item()


def step_with_a_frozen_teacher(student, teacher, batch, optimizer, T, alpha):
    for parameter in teacher.parameters():
        parameter.requires_grad_(False)
    teacher.train(False)
    student.train(True)
    x, y = batch
    loss = distillation_loss(student(x), teacher(x), y, T=T, alpha=alpha)
    for parameter in student.parameters():
        parameter.grad = None
    loss.backward()
    optimizer.step()
    return float(loss)


def step_with_predict(student, teacher, batch, optimizer, T, alpha):
    student.train()
    parameters = list(student.parameters())
    loss = distillation_loss(student(batch[0]), loops.predict(teacher, batch[0]), batch[1], T, alpha)
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
    return loss.item()


def loop_over(step):
    def train(student, teacher, batches, optimizer, epochs, T, alpha):
        history = []
        for _ in range(epochs):
            history.append(statistics.mean(float(step(student, teacher, batch, optimizer, T, alpha)) for batch in batches))
        return history

    return train


def loop_with_a_cache(student, teacher, batches, optimizer, epochs, T, alpha):
    cached = [loops.predict(teacher, inputs) for inputs, _ in batches]
    student.train()
    total = torch.zeros(epochs)
    for epoch in range(epochs):
        for (inputs, labels), v in zip(batches, cached, strict=True):
            loss = distillation_loss(student(inputs), v, labels, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total[epoch] += loss.detach() / len(batches)
    return total.tolist()


# ---- 6 ----


def linear_by_weights(step, steps, start=5.0, end=1.0):
    if steps == 1:
        return start
    progress = step / (steps - 1)
    return (1 - progress) * start + progress * end


def linear_by_numpy(step, steps, start=5.0, end=1.0):
    return np.linspace(start, end, steps)[step]


def cosine_by_square(step, steps, start=5.0, end=1.0):
    angle = torch.tensor(0.0 if steps == 1 else math.pi / 2 * step / (steps - 1))
    return end + (start - end) * torch.cos(angle) ** 2


def cosine_by_the_library(step, steps, start=5.0, end=1.0):
    return schedules.cosine(start, end)(1.0 if steps < 2 else step / (steps - 1))


def wired_by_a_list(student, teacher, batches, optimizer, epochs, alpha, schedule):
    temperatures = [schedule(step, epochs * len(batches)) for step in range(epochs * len(batches))]
    for step, T in enumerate(temperatures):
        step_with_a_frozen_teacher(student, teacher, batches[step % len(batches)], optimizer, T, alpha)
    return temperatures


def wired_by_counting(student, teacher, batches, optimizer, epochs, alpha, schedule):
    used = []
    for epoch in range(epochs):
        for number, batch in enumerate(batches):
            T = schedule(epoch * len(batches) + number, epochs * len(batches))
            step_with_cross_entropy(student, teacher, batch, optimizer, T, alpha)
            used += [T]
    return tuple(used)


# ---- 7 ----


def cache_into_a_tensor(teacher, inputs, batch_size):
    was_training = teacher.training
    teacher.eval()
    rows = [teacher(inputs[start : start + batch_size]).detach() for start in range(0, len(inputs), batch_size)]
    teacher.train(was_training)
    return torch.vstack(rows)


def cache_with_a_loader(teacher, inputs, batch_size):
    twin = copy.deepcopy(teacher).eval().requires_grad_(False)
    return torch.cat([twin(part) for (part,) in DataLoader(TensorDataset(inputs), batch_size)])


def shuffled_by_a_loader(inputs, labels, teacher_logits, batch_size, seed):
    dataset, generator = TensorDataset(inputs, labels, teacher_logits), torch.Generator().manual_seed(seed)
    return DataLoader(dataset, batch_size, shuffle=True, generator=generator)


def shuffled_by_numpy(inputs, labels, teacher_logits, batch_size, seed):
    order = np.random.default_rng(seed).permutation(len(inputs))
    columns = [column[torch.from_numpy(order)] for column in (inputs, labels, teacher_logits)]
    return [tuple(c[start : start + batch_size] for c in columns) for start in range(0, len(order), batch_size)]


def choice_by_sorting(candidates, budget_ms):
    for name, _, times in sorted(candidates, key=lambda candidate: -candidate[1]):
        if sorted(times)[len(times) // 2] <= budget_ms:
            return name
    return None


def choice_by_loop(candidates, budget_ms):
    best, best_accuracy = None, -1.0
    for name, accuracy, times in candidates:
        if torch.tensor(times).median() > budget_ms:
            continue
        if accuracy > best_accuracy:
            best, best_accuracy = name, accuracy
    return best


# ---- 8 ----


def sequences_by_kl_div(student_logits, teacher_logits, mask, T):
    if not mask.any():
        return 0.0 * student_logits[mask].sum()
    log_q, p = (student_logits[mask] / T).log_softmax(-1), (teacher_logits[mask] / T).softmax(-1)
    return T**2 * F.kl_div(log_q, p, reduction="batchmean")


def sequences_by_filling(student_logits, teacher_logits, mask, T):
    z, v = (logits.masked_fill(~mask[..., None], 0.0).double() / T for logits in (student_logits, teacher_logits))
    log_q, log_p = z.log_softmax(-1), v.log_softmax(-1)
    tokens = torch.einsum("blv,blv->bl", log_p.exp(), log_p - log_q)
    return T**2 * (tokens * mask).sum() / mask.sum().clamp(min=1)


def sequences_by_loop(student_logits, teacher_logits, mask, T):
    total = student_logits[mask].sum() * 0
    for b, position in mask.nonzero().tolist():
        log_q = F.log_softmax(student_logits[b, position] / T, 0)
        log_p = F.log_softmax(teacher_logits[b, position] / T, 0)
        total = total + (log_p.exp() * (log_p - log_q)).sum()
    return T * T * total / max(1, int(mask.sum()))


def vocabulary_cut(student_logits, teacher_logits, mask, T):
    V, W = student_logits.size(-1), teacher_logits.size(-1)
    if V > W:
        student_logits = student_logits[:, :, :W]
    else:
        teacher_logits = teacher_logits[:, :, :V]
    return sequences_by_kl_div(student_logits, teacher_logits, mask, T)


def vocabulary_renormalised(student_logits, teacher_logits, mask, T):
    both = min(student_logits.shape[-1], teacher_logits.shape[-1])
    p, q = (torch.softmax(logits[mask] / T, -1)[:, :both] for logits in (teacher_logits, student_logits))
    p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
    return T**2 * (p * (p / q).log()).sum(-1).mean()


def vocabulary_masked(student_logits, teacher_logits, mask, T):
    V, W = student_logits.shape[-1], teacher_logits.shape[-1]
    wide = max(V, W)
    z, v = (F.pad(logits, (0, wide - logits.shape[-1]))[mask] for logits in (student_logits, teacher_logits))
    unknown = torch.arange(wide) >= min(V, W)
    z, v = (logits.masked_fill(unknown, -1e9) / T for logits in (z, v))
    return T**2 * F.kl_div(z.log_softmax(-1), v.softmax(-1), reduction="batchmean")


RIGHT = {
    "soft_targets": {
        "formula": [torchs_softmax, softmax_by_einsum, softmax_by_logsumexp, softmax_by_shifting],
        "stable": [torchs_softmax, softmax_by_logsumexp, softmax_by_shifting],
        "entropy": [entropy_by_entr, entropy_by_clamping, entropy_by_einsum],
    },
    "dark_knowledge": {
        "similarity": [similarity_by_loop, similarity_by_index_add, similarity_by_einsum],
        "nearest": [second_of_the_sorted, without_the_diagonal, by_two_loops],
        "unseen": [bias_by_quantile, bias_by_kthvalue, bias_by_bisection],
    },
    "gradient": {
        "closed form": [gradient_by_hand, gradient_by_autograd, gradient_by_einsum],
        "slope": [slope_by_difference, slope_by_one_side, slope_by_autograd],
        "limit": [limit_centred, limit_by_matrix],
    },
    "distillation_loss": {
        "soft term": [soft_by_kl_div, soft_in_double, soft_by_cross_entropy, soft_by_einsum],
        "whole": [whole(soft_by_kl_div), whole(soft_in_double), whole_by_gathering],
        "safe": [whole(soft_by_kl_div), whole(soft_by_cross_entropy), whole_by_gathering],
    },
    "training": {
        "step": [step_with_cross_entropy, step_with_a_frozen_teacher, step_with_predict],
        "frozen": [step_with_cross_entropy, step_with_a_frozen_teacher, step_with_predict],
        "loop": [loop_over(step_with_a_frozen_teacher), loop_with_a_cache],
    },
    "schedule": {
        "linear": [linear_by_weights, linear_by_numpy],
        "cosine": [cosine_by_square, cosine_by_the_library],
        "wired": [wired_by_a_list, wired_by_counting],
    },
    "cached_logits": {
        "cache": [cache_into_a_tensor, cache_with_a_loader],
        "shuffle": [shuffled_by_a_loader, shuffled_by_numpy],
        "choice": [choice_by_sorting, choice_by_loop],
    },
    "sequences": {
        "per token": [sequences_by_kl_div, sequences_by_filling, sequences_by_loop],
        "padding": [sequences_by_kl_div, sequences_by_filling, sequences_by_loop],
        "vocabulary": [vocabulary_cut, vocabulary_renormalised, vocabulary_masked],
    },
}
