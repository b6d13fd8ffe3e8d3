"""A Postgres of the system's packages, in a folder of its own."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

USER, PASSWORD = "cmet", "secret of the tests"
DATABASES = ("dagster", "mlflow")


def programs() -> Path | None:
    """The folder of initdb and pg_ctl; None where Postgres is not installed. Debian keeps them out of the path."""
    found = shutil.which("pg_ctl")
    if found:
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@dataclass
class Postgres:
    """A server for this machine alone, which wants a password."""

    programs: Path
    folder: Path
    port: int

    def address(self, database: str) -> str:
        """As the settings have it: the password is in PGPASSWORD."""
        return f"postgresql+psycopg2://{USER}@127.0.0.1:{self.port}/{database}"

    def ask(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """The rows of an answer."""
        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database)
        try:
            # CREATE DATABASE has to stand outside of a transaction
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def start(self) -> None:
        """Wait until it answers."""
        # a disk that others use, too, takes half a minute to be sure of all the tables
        said = f"--fsync=off --port={self.port} --listen_addresses=127.0.0.1 --unix_socket_directories={self.folder}"
        self._run("pg_ctl", "start", "--wait", "--log", self.folder / "log", "--options", said)

    def stop(self) -> None:
        """End it as `docker compose stop` does: connections are cut."""
        self._run("pg_ctl", "stop", "--wait", "--mode", "fast")

    def restart(self) -> None:
        """Cut all connections, and go on with what is on disk."""
        self.stop()
        self.start()

    def _run(self, program: str, *words: str | Path) -> None:
        command = [self.programs / program, "--pgdata", self.folder / "data", *words]
        # it refuses to be root's
        user = "postgres" if os.geteuid() == 0 else None
        done = subprocess.run(
            command, cwd=self.folder, user=user, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"


@contextmanager
def postgres_server(programs: Path) -> Iterator[Postgres]:
    """A new one with the databases of compose.yaml, for the length of the block."""
    # that of pytest is closed to the user that Postgres runs as
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        folder = Path(name)
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        free.bind(("127.0.0.1", 0))
        server = Postgres(programs, folder, free.getsockname()[1])
        words = ("--username", USER, "--pwfile", folder / "password", "--auth", "scram-sha-256", "--no-sync")
        server._run("initdb", *words)
        free.close()
        server.start()
        try:
            for database in DATABASES:
                server.ask("postgres", f"CREATE DATABASE {database}")
            yield server
        finally:
            server.stop()
