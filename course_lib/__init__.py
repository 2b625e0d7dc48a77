"""The library behind the course on knowledge distillation. Import its modules one by one, as the notebooks do."""

__version__ = "0.1.0"
