"""What somebody hands you: a teacher by its name and a file of weights, and a folder of pictures. For notebook 10's script."""

from course_lib.handed.models import Columns, build_model, inputs_of, learn_head, load_student, load_teacher, with_new_head
from course_lib.handed.pictures import Pictures, open_images, prepare
from course_lib.handed.runs import check_teacher, refusal, run_file, save_student
from course_lib.handed.weights import fingerprint, read_weights

__all__ = [
    "Columns",
    "Pictures",
    "build_model",
    "check_teacher",
    "fingerprint",
    "inputs_of",
    "learn_head",
    "load_student",
    "load_teacher",
    "open_images",
    "prepare",
    "read_weights",
    "refusal",
    "run_file",
    "save_student",
    "with_new_head",
]
