"""The command ``loopmend``, also as ``python -m codemods``."""

import gc
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    gc.disable()  # nothing is collected while importing and parsing: most of what is made stays
    from codemods.cli.main import run

    sys.exit(run())


if __name__ == "__main__":
    main()
