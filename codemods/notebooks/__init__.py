"""Notebooks: their Python cells as one module that the rules can read, and the way back into their JSON."""
