"""The machine: disk, files and their modes, open files, locale."""

import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bartizan.foundation.capability import Check, Verdict
from bartizan.foundation.settings import describe

from .case import Case

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

_LOW, _OUT = 1024**3, 100 * 1024**2
_FILES = 1024
_OTHERS = 0o077
_REMOTE = ("nfs", "cifs", "smb", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "9p", "afs", "ceph", "glusterfs")
MOUNTS = Path("/proc/mounts")


def gib(size: float) -> str:
    """Write a size as people say it."""
    return f"{size / 1024**3:.1f} GiB" if size >= _LOW else f"{size / 1024**2:.0f} MiB"


def nearest(path: Path) -> Path:
    """Give the path itself, or the folder above it that is there."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def room_on_disk(path: Path) -> Verdict:
    """Tell how much room is left where a file or folder is."""
    free = shutil.disk_usage(nearest(path)).free
    if free >= _LOW:
        return Verdict.ok(f"{gib(free)} are free where {path} is.")
    say = Verdict.problem if free < _OUT else Verdict.warning
    return say(f"Only {gib(free)} are free where {path} is.", "Make room on that disk, or move the folder.")


def open_mode(path: Path, mode: int = 0o600) -> Verdict | None:
    """Complain where others may read a file or folder of ours."""
    found = stat.S_IMODE(path.stat().st_mode)
    if os.name != "posix" or not found & _OTHERS:
        return None

    async def close() -> str:
        path.chmod(mode)  # noqa: ASYNC240 - nobody else waits
        return f"Closed {path} to others: mode {found:o} became {mode:o}."

    owned = path.stat().st_uid == os.geteuid()
    return Verdict.problem(
        f"Others on this machine can reach {path}: its mode is {found:o}.",
        f"chmod {mode:o} {path}",
        close if owned else None,
    )


def file_system(path: Path, mounts: Path) -> str:
    """Tell what kind of file system a path is on; empty where the machine does not say."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    places = [line.split()[1:3] for line in lines if len(line.split()) > 2]  # noqa: PLR2004
    target = nearest(path).resolve()
    held = [(place, kind) for place, kind in places if target.is_relative_to(_unescaped(place))]
    return max(held, key=lambda pair: len(pair[0]), default=("", ""))[1]


def is_remote(kind: str) -> bool:
    """Tell whether a file system is on another machine."""
    return kind.startswith(_REMOTE)


def _unescaped(place: str) -> str:
    return place.replace("\\040", " ")


def sqlite_file(database: str) -> Path | None:
    """Give the file of a SQLite address."""
    scheme, _, rest = database.partition("://")
    if scheme.partition("+")[0] != "sqlite" or not (name := rest.removeprefix("/").partition("?")[0]):
        return None
    return None if name == ":memory:" else Path(name)


def _data_dir(case: Case) -> Verdict | Sequence[Verdict]:
    folder = case.folder / case.given.data_dir
    if not folder.exists():

        async def make() -> str:
            folder.mkdir(mode=0o700, parents=True)
            return f"Made the folder {folder}."

        return Verdict.warning(f"The folder {folder} is not there yet.", f"mkdir -m 700 -p {folder}", make)
    probe = folder / f".doctor-{secrets.token_hex(6)}"
    try:
        probe.write_text("written by bartizan doctor")
        same = probe.read_text() == "written by bartizan doctor"
        probe.unlink()
    except OSError as error:
        who = f"user {os.geteuid()}" if os.name == "posix" else "this user"
        return Verdict.problem(
            f"{folder} cannot be written: {error.strerror}.",
            f"Let {who} write there (chown or mount it read-write), or name another: BARTIZAN_DATA_DIR.",
        )
    if not same:
        return Verdict.problem(f"What is read from {folder} is not what was written.", "Look at the disk.")
    found = [Verdict.ok(f"{folder} can be written, read and cleaned.")]
    if complaint := open_mode(folder, 0o700):
        found.append(Verdict.warning(complaint.what, complaint.fix, complaint.repair))
    return found


def _disk(case: Case) -> Sequence[Verdict]:
    places = [case.folder / case.given.data_dir]
    if file := sqlite_file(case.given.database):
        places.append(case.folder / file)
    return [room_on_disk(place) for place in places]


def _sqlite_place(case: Case) -> Verdict | Sequence[Verdict]:
    file = sqlite_file(case.given.database)
    if file is None:
        return Verdict.ok("The database is a server.")
    file = case.folder / file
    kind = file_system(file, MOUNTS)
    found: list[Verdict] = []
    if is_remote(kind):
        found.append(
            Verdict.warning(
                f"The SQLite file {file} is on a network file system ({kind}).",
                "Move it to a disk of this machine, or use PostgreSQL: locks over a network lose writes.",
            )
        )
    if file.exists() and (complaint := open_mode(file)):
        found.append(Verdict.warning(complaint.what, complaint.fix, complaint.repair))
    return found or Verdict.ok(f"{file} is on a disk of this machine, closed to others.")


def _secret_files(case: Case) -> Verdict | Sequence[Verdict]:
    files = list(dict.fromkeys(_files_with_secrets(case)))
    found = [complaint for file in files if (complaint := open_mode(file))]
    names = ", ".join(str(file) for file in files)
    return found or Verdict.ok(
        f"Closed to others: {names}." if files else "No secret is kept in a file here."
    )


def _files_with_secrets(case: Case) -> Iterator[Path]:
    if (key := case.folder / case.given.data_dir / "secret.key").exists():
        yield key
    for row in describe(case.given, case.sources):
        if not row.secret and "***" not in row.value:
            continue
        name = row.source.removeprefix("file ")
        if row.source.startswith("file "):
            # Orchestrators mount secrets for the one process of a container, with modes of their own.
            if not name.startswith(("/run/secrets/", "/var/run/secrets/")):
                yield case.folder / name
        elif row.source.startswith(".env") or row.source == "bartizan.toml":
            yield case.folder / row.source.partition(" ")[0]


def _locale(_case: Case) -> Verdict:
    if sys.getfilesystemencoding().lower().replace("-", "") == "utf8":
        return Verdict.ok("Text and file names are UTF-8.")
    return Verdict.warning(
        f"File names are {sys.getfilesystemencoding()}, not UTF-8.", "export LC_ALL=C.UTF-8 (or PYTHONUTF8=1)"
    )


def _open_files(_case: Case) -> Verdict:
    if resource is None:
        return Verdict.unknown("This system does not tell how many files may be open.")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _FILES:
        return Verdict.ok("Enough files and connections may be open.")
    return Verdict.warning(
        f"Only {soft} files and connections may be open at once.",
        "ulimit -n 65536, or LimitNOFILE=65536 in the unit of systemd",
    )


MACHINE = (
    Check(
        code="storage.data_dir",
        group="Storage",
        asks="The data folder is there, can be written, read and cleaned, and is closed to others.",
        why="Uploads, and in development the secret key, are kept there.",
        look=_data_dir,
        mends="makes the folder; closes it to others (chmod 700)",
        needs="settings",
    ),
    Check(
        code="storage.disk",
        group="Storage",
        asks="At least 1 GiB is free at the data folder and at the SQLite file.",
        why="On a full disk every change is refused; below 100 MiB it is a problem already.",
        look=_disk,
        needs="settings",
    ),
    Check(
        code="storage.sqlite",
        group="Storage",
        asks="A SQLite file is on a disk of this machine and closed to others.",
        why="Over a network file system SQLite's locks do not hold; who reads the file reads every tenant.",
        look=_sqlite_place,
        mends="closes the file to others (chmod 600)",
        needs="settings",
    ),
    Check(
        code="keys.files",
        group="Keys",
        asks="Files that hold secrets can be read by their owner only.",
        why="Whoever reads the secret key opens every sealed value and signs any token.",
        look=_secret_files,
        mends="closes them to others (chmod 600)",
        needs="settings",
    ),
    Check(
        code="machine.locale",
        group="Machine",
        asks="File names and texts are UTF-8.",
        why="Names of people and files would be garbled or refused.",
        look=_locale,
        needs="nothing",
    ),
    Check(
        code="machine.open_files",
        group="Machine",
        asks="At least 1,024 files and connections may be open at once.",
        why="Each websocket and database connection is one; past the limit new ones are refused.",
        look=_open_files,
        needs="nothing",
    ),
)
