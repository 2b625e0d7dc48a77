"""A model of names in the form that Hugging Face `transformers`, and with it vLLM, loads: three files in a folder.

They are written here, without that library: its formats are plain enough. A test loads them with it and compares.
"""

import json
from pathlib import Path

import torch

from course_lib.language.names import BOUNDARY, MAX_LETTERS, SYMBOLS
from course_lib.language.transformer import INITIAL_STD, NORM_EPS, ROPE_BASE, Transformer

END = SYMBOLS[BOUNDARY]


def save_for_hugging_face(model: Transformer, folder: str | Path) -> Path:
    """Write config.json, generation_config.json, model.safetensors and a tokenizer into `folder`, and return it.

        tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)

    `model(**tokenizer("smi", return_tensors="pt")).logits` are then those of `model` for ". s m i", to float precision. The
    tokenizer puts the boundary before a text and makes it lower case; what is no letter becomes the boundary. Files of those
    names in the folder are written over. Raises TypeError for another model, ValueError for another vocabulary.
    """
    if not isinstance(model, Transformer):
        raise TypeError(f"model must be a course_lib.language.Transformer, got {type(model).__name__}")
    if model.lm_head.out_features != len(SYMBOLS):
        raise ValueError(f"model must have the {len(SYMBOLS)} symbols of names, got {model.lm_head.out_features}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "config.json": _config(model),
        "generation_config.json": {"bos_token_id": BOUNDARY, "eos_token_id": BOUNDARY, "pad_token_id": BOUNDARY},
        "tokenizer.json": _tokenizer(),
        "tokenizer_config.json": _tokenizer_config(),
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf8")
    named = {name if name.startswith("lm_head") else f"model.{name}": value for name, value in model.state_dict().items()}
    (folder / "model.safetensors").write_bytes(to_safetensors(named))
    return folder


def to_safetensors(tensors: dict[str, torch.Tensor]) -> bytes:
    """Return tensors in the format safetensors, as float32: the length of a header, the header in JSON, then all numbers.

    The length is 8 bytes, little-endian. The header gives each tensor's type, shape and range of bytes behind it.
    """
    header, chunks, start = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in tensors.items():
        chunks.append(tensor.detach().cpu().float().contiguous().numpy().astype("<f4").tobytes())
        end = start + len(chunks[-1])
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + b"".join(chunks)


def _config(model: Transformer) -> dict:
    width, heads = model.lm_head.in_features, model.layers[0].self_attn.heads
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": model.lm_head.out_features,
        "hidden_size": width,
        "intermediate_size": model.layers[0].mlp.gate_proj.out_features,
        "num_hidden_layers": len(model.layers),
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "head_dim": width // heads,
        "hidden_act": "silu",
        "rms_norm_eps": NORM_EPS,
        "rope_theta": ROPE_BASE,  # before transformers 5
        "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_BASE},  # from 5 on
        "initializer_range": INITIAL_STD,
        "max_position_embeddings": 64,  # no weight depends on it; names have at most 14 positions
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": BOUNDARY,
        "eos_token_id": BOUNDARY,
        "pad_token_id": BOUNDARY,
        "torch_dtype": "float32",
    }


def _tokenizer() -> dict:
    """One token a letter: byte pair encoding without a pair."""
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    begin = {"SpecialToken": {"id": END, "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": BOUNDARY, "content": END, **special}],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [begin, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {END: {"id": END, "ids": [BOUNDARY], "tokens": [END]}},
        },
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "BPE",
            "unk_token": END,
            "fuse_unk": False,
            "vocab": {symbol: number for number, symbol in enumerate(SYMBOLS)},
            "merges": [],
        },
    }


def _tokenizer_config() -> dict:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": MAX_LETTERS + 1,
        "model_input_names": ["input_ids", "attention_mask"],
        "bos_token": END,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "clean_up_tokenization_spaces": False,
    }
