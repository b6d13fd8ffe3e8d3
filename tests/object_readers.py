"""Processes that read from one cache at the same time."""

import os
import random
import sys
import time
from pathlib import Path

from cmet.archives import local_file
from cmet.engine.attempts import Job, Record
from cmet.objects.cache import ObjectCache
from tests.clip_jobs import Meeting


def read_many(cache: ObjectCache, seed: int, num_reads: int, num_objects: int, num_bytes: int) -> None:
    """Read objects in an order of one's own; each must be whole as long as it is held."""
    order = random.Random(seed)
    for _ in range(num_reads):
        number = order.randrange(num_objects)
        content = bytes([number]) * num_bytes

        def bring(target: Path, content: bytes = content) -> None:
            with target.open("wb") as stream:
                stream.write(content[: len(content) // 2])
                stream.flush()
                time.sleep(order.random() / 500)
                stream.write(content[len(content) // 2 :])
            with (cache.folder.parent / "brought").open("a") as log:
                log.write(f"{os.getpid()}\n")

        with cache.holding(f"{number:02x}", "object", num_bytes, bring) as file:
            time.sleep(order.random() / 1000)
            if file.read_bytes() != content:
                sys.exit(f"{number} is not whole")


class CopySource(Meeting):
    """A clip that is its source once more; of so many processes none works without the others."""

    def __call__(self, job: Job, folder: Path) -> Record:
        super().__call__(job, folder)
        with local_file(Path(job["source"])) as file:
            (folder / job["clip_id"]).write_bytes(file.read_bytes())
        return {"process": os.getpid()}


if __name__ == "__main__":
    folder, max_bytes, *numbers = sys.argv[1:]
    read_many(ObjectCache(Path(folder), int(max_bytes)), *map(int, numbers))
