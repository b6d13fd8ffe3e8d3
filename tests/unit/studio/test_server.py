import socket

import pytest

from cmet.errors import UserError
from cmet.studio.gradio_without_stubs import gradio
from cmet.studio.server import (
    FIRST_PORT,
    at_free_port,
    check_reach,
    free_port,
    is_local,
)


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("192.168.1.7", False),
        ("me", False),
    ],
)
def test_which_addresses_are_this_machine_alone(host: str, is_one: bool) -> None:
    assert is_local(host) == is_one


def test_others_are_let_in_with_a_password_only() -> None:
    with pytest.raises(UserError, match="--host 0.0.0.0: others could reach the page .* CMET_STUDIO_PASSWORD"):
        check_reach("0.0.0.0", None)
    check_reach("0.0.0.0", "secret")
    check_reach("127.0.0.1", None)


def test_a_port_in_use_is_passed_over_or_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port}: cannot be used .* name another one"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", None) >= FIRST_PORT


def test_a_port_that_is_taken_at_the_last_moment_is_passed_over() -> None:
    tried: list[int] = []

    def launched(port: int) -> str:
        tried.append(port)
        if len(tried) < 3:
            raise OSError("Cannot find empty port")
        return f"http://127.0.0.1:{port}"

    assert at_free_port(launched, "127.0.0.1", None) == f"http://127.0.0.1:{tried[-1]}"
    assert len(tried) == 3


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(UserError, match="--host 192.0.2.1: no port"):
        free_port("192.0.2.1", None)


def test_an_address_that_cannot_be_served_at_is_told() -> None:
    with pytest.raises(UserError, match="--host ::1: the page is served at IPv4 addresses only"):
        check_reach("::1", None)


def test_gradio_has_the_waits_that_the_page_sets() -> None:
    with gradio.Blocks(analytics_enabled=False) as blocks:
        blocks.queue()
    assert {"sleep_when_free", "progress_update_sleep_when_free"} <= vars(blocks._queue).keys()
