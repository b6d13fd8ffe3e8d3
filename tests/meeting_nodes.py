"""Two processes that meet as those of two machines would, once for each `OTHER` of `FOLDER OTHER ...`.

FOLDER is the project as the first of them sees it, OTHER as the second does. A folder without params.yaml cannot be
worked in. Each process says on a line of its own what the meeting came to, after the number of the meeting and its
rank. They are forked, since importing torch takes longer than to meet.
"""

import os
import platform
import socket
import sys
import traceback
from pathlib import Path

from cmet.connector.meeting import meeting
from cmet.errors import UserError
from cmet.params import unchecked_params


def meet(rank: int, port: int, root: Path) -> str:
    """What comes of it for one of them."""
    where = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
    os.environ.update(where, RANK=str(rank), LOCAL_RANK="0", WORLD_SIZE="2", GROUP_WORLD_SIZE="2")
    platform.node = lambda: f"node{rank}"
    try:
        with meeting(root, root / ".work", lambda: {"parameters": str(unchecked_params(root / "params.yaml"))}):
            return "met"
    except UserError as error:
        return str(error)


def forked(number: int, rank: int, port: int, root: Path) -> int:
    """Start one of the two, and return its process."""
    child = os.fork()
    if child:
        return child
    try:
        # in one write, since Python unbuffered ends a line by another, and both write into one pipe
        sys.stdout.write(f"{number} {rank} {meet(rank, port, root)}\n")
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    first, *others = map(Path, sys.argv[1:])
    for number, other in enumerate(others):
        with socket.create_server(("localhost", 0)) as server:
            free = server.getsockname()[1]
        children = [forked(number, rank, free, root) for rank, root in enumerate((first, other))]
        if any([os.waitpid(child, 0)[1] for child in children]):
            sys.exit(1)
