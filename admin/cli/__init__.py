"""The commands of `python -m admin`, a module per group."""
