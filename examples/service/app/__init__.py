"""A small service: see README.md for what is wrong with it."""
