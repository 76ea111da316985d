"""loopmend: find the code behind ``RuntimeError: Event loop is closed`` and rewrite it."""

__version__ = "0.1.0"
