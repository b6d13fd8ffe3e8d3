"""Commands that are more than a stage; `cmet/cli.py` mounts them. What they print is made in the library."""
