"""A server of weights, and the hub's client pointed to it."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cmet.weights import transfer
from cmet.weights.registry import CHECKPOINTS, NETWORKS, Checkpoint
from cmet.weights.routes import Download, Route
from tests.weight_server import WeightServer, serving


def filled(name: str) -> bytes:
    """A file of a network in its container, filled with ones that take no room."""
    network = NETWORKS[name]
    tensors = {key: torch.ones(()).expand(shape) for key, shape in network.shapes.items()}
    stream = io.BytesIO()
    torch.save({network.place: tensors} if network.place else tensors, stream)
    return stream.getvalue()


@pytest.fixture
def server() -> Iterator[WeightServer]:
    with serving() as found:
        yield found


@pytest.fixture
def hub(server: WeightServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightServer:
    """The server as the hub; the client has read its environment already."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return server


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between tries, and a proxy of the machine is not asked."""
    monkeypatch.setattr(transfer, "WAITS_S", (0,) * transfer.NUM_TRIES)
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")


Given = Callable[..., Checkpoint]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    """Gives a registered checkpoint other routes."""

    def change(name: str, *routes: Route, path: str | None = None, **facts: Any) -> Checkpoint:
        published = CHECKPOINTS[name]
        download = Download(path or published.file, routes, **facts)
        changed = replace(published, downloads=(download,))
        monkeypatch.setitem(CHECKPOINTS, name, changed)
        return changed

    return change
