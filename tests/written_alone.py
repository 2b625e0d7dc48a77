"""Answers to exercise 4 as a class writes them, each alone: other names, other ways, other orders, and sometimes a mistake."""

import random
import re

NAMES = {
    "s": ["log_q", "student_log", "ls", "logp_student", "q"],
    "t": ["p", "teacher_probs", "soft", "target", "probabilities"],
    "k": ["kl", "loss", "term", "result", "divergence"],
    "h": ["hard", "ce", "label_loss", "second"],
}


def answers(rng: random.Random) -> dict[str, str]:
    """Return the texts of soft_term and distillation_loss of one student."""
    name = {key: rng.choice(values) for key, values in NAMES.items()}
    s, t, k, h = name["s"], name["t"], name["k"], name["h"]
    dim = rng.choice(["-1", "1", "dim=-1", "dim=1"])
    square = rng.choice(["T**2", "T * T", "pow(T, 2)", "(T ** 2)"])
    lines = [
        rng.choice(
            [
                f"{s} = F.log_softmax(student_logits / T, {dim})",
                f"{s} = (student_logits / T).log_softmax({dim})",
                f"scaled = student_logits / T\n{s} = scaled - torch.logsumexp(scaled, 1, keepdim=True)",
                f"{s} = torch.log(F.softmax(student_logits / T, {dim}))",
            ]
        ),
        rng.choice(
            [
                f"{t} = F.softmax(teacher_logits / T, {dim})",
                f"{t} = (teacher_logits / T).softmax({dim})",
                f"{t} = torch.exp(torch.log_softmax(teacher_logits / T, {dim}))",
                f"tempered = teacher_logits / T\n{t} = torch.softmax(tempered, {dim})",
            ]
        ),
    ]
    rng.shuffle(lines)
    ends = [
        f"return {square} * F.kl_div({s}, {t}, reduction='batchmean')",
        f"{k} = F.kl_div({s}, {t}, reduction='sum') / len(student_logits)\nreturn {k} * {square}",
        f"{k} = ({t} * (torch.log({t}) - {s})).sum(1)\nreturn {square} * {k}.mean()",
        f"{k} = torch.zeros(())\nfor i in range(len({t})):\n    {k} = {k} + ({t}[i] * ({t}[i].log() - {s}[i])).sum()\n"
        f"return {square} * {k} / {t}.shape[0]",
        f"{k} = {t} * {t}.log() - {t} * {s}\nreturn {k}.sum() / {t}.size(0) * {square}",
    ]
    detach = rng.choice(["teacher_logits.detach()", "teacher_logits"])
    whole = [
        f"{h} = F.cross_entropy(student_logits, labels)\n"
        f"return alpha * soft_term(student_logits, {detach}, T) + (1 - alpha) * {h}",
        f"with torch.no_grad():\n    teacher = {detach}.clone()\n{k} = soft_term(student_logits, teacher, T)\n"
        f"{h} = F.nll_loss(student_logits.log_softmax(1), labels)\nreturn alpha * {k} + (1 - alpha) * {h}",
        f"{k} = alpha * soft_term(student_logits, {detach}, T)\n"
        f"{k} = {k} + (1 - alpha) * F.cross_entropy(student_logits, labels)\nreturn {k}",
        f"parts = [soft_term(student_logits, {detach}, T), F.cross_entropy(student_logits, labels)]\n"
        "return sum(weight * part for weight, part in zip((alpha, 1 - alpha), parts))",
    ]
    return {
        "soft_term": _function("soft_term(student_logits, teacher_logits, T)", "\n".join([*lines, rng.choice(ends)])),
        "distillation_loss": _function(
            "distillation_loss(student_logits, teacher_logits, labels, T, alpha)", rng.choice(whole)
        ),
    }


def _function(head: str, body: str) -> str:
    return f"def {head}:\n" + "".join(f"    {line}\n" for line in body.split("\n"))


def renamed(texts: dict[str, str]) -> dict[str, str]:
    """Return the same answers as a copy looks: other names, comments, spaces."""
    found = {}
    for name, text in texts.items():
        for old in {value for values in NAMES.values() for value in values}:
            text = "\n".join(_swap(line, old) for line in text.split("\n"))
        head, _, rest = text.partition("\n")
        found[name] = f"{head}\n    # my own idea\n\n{rest}".replace(" / ", "/").replace(" * ", "*")
    return found


def _swap(line: str, old: str) -> str:
    return re.sub(rf"(?<![\w.'=]){old}\b(?!=)", f"{old}_mine", line)
