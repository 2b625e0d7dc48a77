"""The form that transformers loads: by hand, and with the library itself where it is installed."""

import json

import pytest
import torch

from course_lib.language import Transformer, encode, new_language_student, save_for_hugging_face, write_names
from course_lib.language.to_hugging_face import to_safetensors


@pytest.fixture(scope="module")
def student():
    """With opinions, so that its likeliest letters are clear."""
    student = new_language_student(seed=3)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.mul_(6)
    return student


@pytest.fixture(scope="module")
def folder(student, tmp_path_factory):
    return save_for_hugging_face(student, tmp_path_factory.mktemp("saved") / "student")


def test_the_files(folder):
    names = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {path.name for path in folder.iterdir()} == names
    config = json.loads((folder / "config.json").read_text("utf8"))
    sizes = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "head_dim")
    assert [config[name] for name in sizes] == [27, 16, 42, 2, 2, 8]


def test_safetensors_by_hand():
    content = to_safetensors({"a": torch.tensor([[1.0, 2.0]]), "b": torch.tensor([-0.5])})
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    header = json.loads(content[8 : 8 + length])
    assert header["a"] == {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}
    assert header["b"] == {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]}
    assert torch.frombuffer(bytearray(content[8 + length :]), dtype=torch.float32).tolist() == [1.0, 2.0, -0.5]


def test_wrong_models(tmp_path):
    with pytest.raises(TypeError, match=r"model must be a course_lib\.language\.Transformer, got Linear"):
        save_for_hugging_face(torch.nn.Linear(2, 2), tmp_path / "no")
    with pytest.raises(ValueError, match="model must have the 27 symbols of names, got 5"):
        save_for_hugging_face(Transformer(16, 1, 2, vocab_size=5), tmp_path / "no")
    assert not (tmp_path / "no").exists()


# ---- with the real library ----


@pytest.fixture(scope="module")
def loaded(folder):
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return tokenizer, transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


def test_its_logits_are_ours_to_float_precision(loaded, student):
    _, theirs = loaded
    assert type(theirs).__name__ == "LlamaForCausalLM"
    inputs, labels = encode(["smith", "abcdefghijklm", "o", "quigley"]).tensors
    with torch.no_grad():
        ours, logits = student(inputs), theirs(input_ids=inputs).logits
    assert ours.abs().max() > 1
    assert torch.allclose(logits[labels != -100], ours[labels != -100], rtol=1e-5, atol=1e-5)


def test_every_parameter_arrived_and_no_other(loaded, student):
    _, theirs = loaded
    ours = {name if name.startswith("lm_head") else f"model.{name}": value for name, value in student.state_dict().items()}
    assert ours.keys() == theirs.state_dict().keys()
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.items())


def test_its_tokenizer_numbers_letters_as_encode_does(loaded):
    tokenizer, _ = loaded
    assert tokenizer("Smith")["input_ids"] == encode(["smith"]).tensors[0][0, :6].tolist()
    assert tokenizer.decode(tokenizer("smith")["input_ids"], skip_special_tokens=True) == "smith"
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, len(tokenizer)) == (0, 0, 27)


@pytest.mark.parametrize("prefix", ["", "s", "mac", "ab", "zz", "queen"])
def test_it_writes_what_we_write_letter_by_letter(loaded, student, prefix):
    tokenizer, theirs = loaded
    rows = theirs.generate(**tokenizer(prefix, return_tensors="pt"), do_sample=False, max_length=14)
    assert tokenizer.decode(rows[0], skip_special_tokens=True) == write_names(student, 1, prefix=prefix, temperature=0)[0]


def test_a_plain_course_model_trained_there_can_come_back(loaded, student):
    _, theirs = loaded
    back = new_language_student()
    back.load_state_dict({name.removeprefix("model."): value for name, value in theirs.state_dict().items()})
    symbols = torch.arange(14)[None]
    assert torch.equal(back(symbols), student(symbols))
