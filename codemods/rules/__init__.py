"""The rules of the catalogue: one file, one rule, its page in the docstring."""
