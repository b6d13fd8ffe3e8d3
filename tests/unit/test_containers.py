"""What `docker compose` starts: for this machine alone, with no password that is written down, each seen to be well."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = sorted(COMPOSE["services"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_watched_started_again_and_seen_by_this_machine_alone(name: str) -> None:
    service = COMPOSE["services"][name]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_the_password_comes_from_outside_and_has_no_default(name: str) -> None:
    said = COMPOSE["services"][name]["environment"]
    given = [value for key, value in said.items() if "PASSWORD" in key]
    assert given and all(value.startswith("${POSTGRES_PASSWORD:?") for value in given)
    # an address is printed, kept with what waits, and shown by MLflow
    assert all("postgres" not in value or "cmet@postgres/" in value for key, value in said.items() if "UR" in key)


def test_a_service_waits_until_what_it_asks_is_well() -> None:
    asked = {name: one.get("depends_on", {}) for name, one in COMPOSE["services"].items()}
    assert all(on["condition"] == "service_healthy" for one in asked.values() for on in one.values())
    assert {name: set(one) for name, one in asked.items()} == {
        "postgres": set(),
        "mlflow": {"postgres"},
        "code": {"postgres", "mlflow"},
        "webserver": {"code"},
        "daemon": {"code"},
        "reports": {"mlflow"},
    }


def test_the_services_that_are_asked_by_name_are_there() -> None:
    [server] = yaml.safe_load((ROOT / "pipelines/compose_workspace.yaml").read_text(encoding="utf-8"))["load_from"]
    asked = server["grpc_server"]
    assert asked["host"] == "code"
    assert f"--port {asked['port']} " in COMPOSE["services"]["code"]["command"][-1]
    assert f"--location-name {asked['location_name']}" in COMPOSE["services"]["code"]["command"][-1]
