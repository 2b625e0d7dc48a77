"""The loss and the objective in other people's trainers, by the very lines that README shows, against plain loops."""

import copy
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.basics import seeded
from course_lib.losses import distillation_loss
from course_lib.schedules import linear

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf8")


def from_readme(library: str) -> dict:
    """What the lines under `<!-- trainer: library -->` define."""
    pytest.importorskip(library)
    names: dict = {}
    exec(re.search(rf"<!-- trainer: {library} -->\n```python\n(.+?)```", README, re.DOTALL)[1], names)
    return names


def network(seed):
    with seeded(seed):
        return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))


def loader():
    inputs = torch.randn(24, 4, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(inputs, inputs[:, :3].argmax(-1)), batch_size=8)


def plain_loop(student, teacher, epochs=2):
    """The loop that anyone would write, at T = 5 down to 1 and alpha = 0.7."""
    optimizer, step = torch.optim.Adam(student.parameters(), lr=1e-3), 0
    for _ in range(epochs):
        for inputs, labels in loader():
            with torch.no_grad():
                teacher_logits = teacher(inputs)
            distillation_loss(student(inputs), teacher_logits, labels, T=5 - 4 * step / 5, alpha=0.7).backward()
            optimizer.step()
            optimizer.zero_grad()
            step += 1
    return student


def assert_same_weights(one, other, **tolerance):
    for name, value in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, msg=lambda text, name=name: f"{name}: {text}", **tolerance)


def trained_by_lightning(folder, module, data, epochs):
    import lightning

    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu", default_root_dir=folder, **quiet)
    trainer.fit(module, data)
    return trainer


def test_lightning_trains_as_a_plain_loop_does(tmp_path):
    module_class = from_readme("lightning")["DistilledModule"]
    student, teacher = network(0), network(1).eval()
    before, expected = copy.deepcopy(teacher.state_dict()), plain_loop(copy.deepcopy(student), teacher)
    module = module_class(student, teacher, T=linear(5, 1), alpha=0.7)
    trainer = trained_by_lightning(tmp_path, module, loader(), epochs=2)
    assert_same_weights(expected, student)
    assert {"loss", "soft", "hard", "T", "alpha", "accuracy"} <= set(trainer.logged_metrics)
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    assert not any("teacher" in name for name in module.state_dict())


def test_lightning_takes_a_batch_without_a_label(tmp_path):
    module_class = from_readme("lightning")["DistilledModule"]
    inputs, labels = next(iter(loader()))
    data = DataLoader(TensorDataset(torch.cat([inputs, inputs]), torch.cat([labels.fill_(-100), labels])), batch_size=8)
    trainer = trained_by_lightning(tmp_path, module_class(network(0), network(1)), data, epochs=1)
    assert trainer.logged_metrics["loss"] == 0
    assert "accuracy" not in trainer.logged_metrics


def test_accelerate_trains_as_a_plain_loop_does():
    train = from_readme("accelerate")["train"]
    student, teacher = network(0), network(1).eval()
    expected = plain_loop(copy.deepcopy(student), teacher)
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
    assert_same_weights(expected, train(student, teacher, loader(), optimizer, 2, T=linear(5, 1), alpha=0.7))


# ---- a causal language model under Hugging Face's Trainer ----


def language_model(seed):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=11,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
    )
    with seeded(seed):
        return LlamaForCausalLM(config)


def sentences(n=8, length=9):
    """Of different lengths, padded: so the micro-batches of a step have different numbers of tokens."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1, 11, (n, length), generator=generator)
    mask = torch.arange(length) < torch.randint(3, length + 1, (n, 1), generator=generator)
    labels = torch.where(mask, ids, -100)
    return [{"input_ids": i, "attention_mask": m.long(), "labels": y} for i, m, y in zip(ids, mask, labels, strict=True)]


def trained_by_hugging_face(folder, batch_size, accumulated, data=None):
    trainer_class = from_readme("transformers")["DistillationTrainer"]
    from transformers import TrainingArguments

    student, teacher = language_model(0), language_model(1)
    arguments = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=batch_size, gradient_accumulation_steps=accumulated, max_steps=2,
        learning_rate=1e-2, lr_scheduler_type="constant", max_grad_norm=0.0, report_to=[], save_strategy="no", use_cpu=True,
        disable_tqdm=True, remove_unused_columns=False, seed=0, optim="sgd", logging_strategy="no",
    )  # fmt: skip
    data = data or sentences()
    trainer = trainer_class(student, arguments, train_dataset=data, teacher=teacher, T=2.0, alpha=0.7)
    trainer._get_train_sampler = lambda *_: None  # in their order, so that the plain loop meets the same
    trainer.train()
    return student, teacher


def plain_language_loop():
    student, teacher = language_model(0), language_model(1).eval()
    optimizer = torch.optim.SGD(student.parameters(), lr=1e-2)
    for start in (0, 4):
        batch = {name: torch.stack([each[name] for each in sentences()[start : start + 4]]) for name in sentences()[0]}
        labels = batch.pop("labels")
        with torch.no_grad():
            v = teacher(**batch).logits[:, :-1]
        distillation_loss(student(**batch).logits[:, :-1], v, labels[:, 1:], T=2.0, alpha=0.7).backward()
        optimizer.step()
        optimizer.zero_grad()
    return student


@pytest.mark.parametrize(("batch_size", "accumulated"), [(4, 1), (2, 2), (1, 4)])
def test_transformers_trains_as_a_plain_loop_does_however_a_step_is_cut(tmp_path, batch_size, accumulated):
    student, teacher = trained_by_hugging_face(tmp_path, batch_size, accumulated)
    expected = plain_language_loop()
    assert not torch.equal(expected.lm_head.weight, language_model(0).lm_head.weight)
    assert_same_weights(expected, student, rtol=1e-5, atol=1e-6)
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_step_without_a_label_leaves_the_weights_under_transformers(tmp_path):
    without = [{**row, "labels": torch.full_like(row["labels"], -100)} for row in sentences()]
    student, _ = trained_by_hugging_face(tmp_path, 4, 1, without)
    assert_same_weights(language_model(0), student, rtol=0, atol=0)
