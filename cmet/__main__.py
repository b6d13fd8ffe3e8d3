"""`python -m cmet` is the same as `cmet`."""

from cmet.cli import main

if __name__ == "__main__":
    main()
