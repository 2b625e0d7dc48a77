"""Small language models of surnames: data, a transformer, writing, training on sequences, speculative decoding, serving."""

from course_lib.language.measures import acceptance, bits_per_letter, kl_per_name, mean_acceptance, symbols_per_call
from course_lib.language.names import SYMBOLS, Surnames, decode, encode, shift, surnames
from course_lib.language.objectives import OnPolicy
from course_lib.language.speculative import Speculation, accept_drafts, expected_symbols, speculate
from course_lib.language.to_hugging_face import save_for_hugging_face
from course_lib.language.transformer import (
    Transformer,
    new_language_student,
    new_language_teacher,
    pretrained_language_teacher,
)
from course_lib.language.writing import next_letter, write_names

__all__ = [
    "SYMBOLS",
    "OnPolicy",
    "Speculation",
    "Surnames",
    "Transformer",
    "accept_drafts",
    "acceptance",
    "bits_per_letter",
    "decode",
    "encode",
    "expected_symbols",
    "kl_per_name",
    "mean_acceptance",
    "new_language_student",
    "new_language_teacher",
    "next_letter",
    "pretrained_language_teacher",
    "save_for_hugging_face",
    "shift",
    "speculate",
    "surnames",
    "symbols_per_call",
    "write_names",
]
