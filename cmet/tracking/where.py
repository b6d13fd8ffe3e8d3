"""`python -m cmet.tracking.where`: where the runs of the project here are shown; makes its store if there is none."""

import sys
from pathlib import Path

from cmet.errors import UserError
from cmet.tracking.front import page_of, runs_page, show_runs_first
from cmet.tracking.store import StoreAway, open_store

if __name__ == "__main__":
    try:
        store = open_store(Path())
        store.ask(lambda: show_runs_first(store.client, store.experiment))
    except (UserError, StoreAway) as error:
        sys.exit(f"cmet: {error}")
    is_served = store.address.startswith("http")
    shown = runs_page(store.address, store.experiment) if is_served else f"{page_of(store.address)} in some seconds"
    print(f"The runs are on {shown}", flush=True)
