"""Two processes that meet as those of two machines would: `FOLDER FOLDER` are the project as each of them sees it.

A folder without params.yaml cannot be worked in. Each process says on a line of its own what the meeting came to.
"""

import os
import platform
import socket
import sys
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


if __name__ == "__main__":
    with socket.create_server(("localhost", 0)) as server:
        free = server.getsockname()[1]
    other = os.fork()
    number = int(not other)
    # in one write, since Python unbuffered ends a line by another, and both write into one pipe
    sys.stdout.write(f"{number} {meet(number, free, Path(sys.argv[1 + number]))}\n")
    sys.stdout.flush()
    if other:
        os.waitpid(other, 0)
    else:
        os._exit(0)
