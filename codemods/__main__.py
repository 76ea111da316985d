"""The command ``loopmend``, also as ``python -m codemods``."""

import gc
import signal
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    gc.disable()  # nothing is collected while importing and parsing: most of what is made stays
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # to be told to end is like Ctrl-C: tidy up first
    try:
        from codemods.cli.main import run

        code = run()
    except KeyboardInterrupt:  # so early that nothing has been looked at, or a second time
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
