"""The command ``loopmend``, also as ``python -m codemods``."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from codemods.cli.main import run

    sys.exit(run())


if __name__ == "__main__":
    main()
