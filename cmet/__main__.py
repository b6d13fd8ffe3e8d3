"""`python -m cmet`, and the command `cmet`."""

import os
import sys

STAGE = "DVC_STAGE"
"""A variable of commands that DVC runs."""


def main() -> None:
    """Run the command line; Ctrl-C while it is being imported is one line, too, and exit code 130."""
    try:
        if sys.argv[1:] == ["--version"]:
            # a script may ask for it often
            from cmet.environment import own_version

            print(f"cmet {own_version()}")
            return
        if STAGE in os.environ:
            # before anything that may fail: params.yaml, or the code itself
            from cmet.previous import put_back_previous

            put_back_previous()
        # imported here: it takes most of a second
        from cmet.cli import main as run

        run()
    except KeyboardInterrupt:
        print("cmet: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
