"""Run folders: files written whole or not at all, and read back only if they are what was written.

A folder that holds a model has a ``manifest.json`` with the format and the sha256 of each file. The lexicon is meant to
be edited by hand: its parser checks it, and :func:`edit_notice` says that it is not the one that was trained.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from nsr._version import __version__
from nsr.errors import RunError, reason
from nsr.files import read_file

FORMAT = 4
MANIFEST = "manifest.json"
MAX_FILES = 32  # of a model
FILE_NAME = re.compile(r"[\w-][\w.-]*", re.ASCII)  # of a file of a model
EDITABLE = ("lexicon.nsr",)
PROVENANCE = "provenance.json"  # who trained a run that is behind a table, see nsr.reports.performing
LOCK = "training.lock"  # in a folder that a process trains in
_held: set[Path] = set()  # folders that this process has locked


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that at any moment it is either the old one or the new one; see :func:`write_files`."""
    write_files(path.parent, {path.name: content})


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files under hidden names and, when all are whole, rename them in this order.

    An error leaves what there was, unless it is in the renaming itself, which only a fault of the file system can stop
    halfway. What that or a kill may leave are hidden files, which the next writing of the same files takes over. Of
    several processes that write the same files, one waits for the other.

    Raises:
        OSError: a file cannot be written, or is a folder.
    """
    for path in (folder / name for name in files):
        if path.is_dir() and not path.is_symlink():
            raise IsADirectoryError(errno.EISDIR, f"{path} is a folder; choose another name", str(path))
    written: list[Path] = []
    with ExitStack() as opened:
        try:
            for name, content in files.items():
                file = opened.enter_context(_hidden_file(folder / name))
                written.append(_hidden(folder / name))
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            for name in files:
                os.replace(_hidden(folder / name), folder / name)
                written.clear()  # from now on, what is hidden is needed
        except BaseException:
            for path in written:
                path.unlink(missing_ok=True)
            raise


def _hidden(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _hidden_file(path: Path) -> IO[bytes]:
    """The file that is to become a file, empty, and locked until it is closed."""
    hidden = _hidden(path)
    while True:
        if hidden.is_symlink():
            hidden.unlink()
        file = _open_here(hidden, "ab")
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if _is_at(file, hidden):
            file.truncate(0)
            return file
        file.close()  # another process had it, and has renamed it


def _open_here(path: Path, mode: str) -> IO[Any]:
    """Open a file, but not through a link to elsewhere."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o666))


def _is_at(file: IO[Any], path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a model; at any moment :func:`read_folder` reads the old ones or the new ones.

    The manifest is renamed first: from then on the new files count, those too that are still hidden.

    Raises:
        RunError: the folder cannot be written.
    """
    manifest = {
        "format": FORMAT,
        "version": __version__,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_files(folder, {MANIFEST: to_json(manifest), **files})
    except OSError as error:
        raise unwritable(folder, error) from None


def unwritable(path: Path, error: OSError) -> RunError:
    """The error that a file or folder cannot be written, and why."""
    return RunError(f"{path} cannot be written: {reason(error)}")


def read_folder(folder: Path, editable: Collection[str] = EDITABLE) -> dict[str, bytes]:
    """The files of a model, checked against their manifest, but for those that may be edited.

    Raises:
        RunError: there is no finished model, another version wrote it, or a file is missing or damaged.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is not a run folder: {'it is a file' if folder.exists() else 'it does not exist'}")
    manifest = parse_json(_read_manifest(folder), folder / MANIFEST)
    try:
        found, expected = manifest["format"], {str(name): each for name, each in manifest["files"].items()}
        version = str(manifest["version"])
    except (KeyError, TypeError, AttributeError):
        raise RunError(f"{folder / MANIFEST} is damaged; train again") from None
    if found != FORMAT:
        raise RunError(
            f"{folder} has format {found!r}, written by nsr {version}; nsr {__version__} reads format {FORMAT}"
        )
    if len(expected) > MAX_FILES:
        raise RunError(f"{folder / MANIFEST} is damaged: it lists more than {MAX_FILES} files")
    for name in expected:
        if not FILE_NAME.fullmatch(name):
            raise RunError(f"{folder / MANIFEST} is damaged: {name!r} is not a file name")
    return {name: _file(folder / name, checksum, name in editable) for name, checksum in expected.items()}


def written_by(folder: Path) -> str:
    """The version of nsr that wrote the files of a model.

    Raises:
        RunError: there is no manifest, or it is damaged.
    """
    manifest = parse_json(_read_manifest(folder), folder / MANIFEST)
    if not isinstance(manifest, dict) or "version" not in manifest:
        raise RunError(f"{folder / MANIFEST} is damaged; train again")
    return str(manifest["version"])


def _file(path: Path, checksum: str, editable: bool) -> bytes:
    """A file of a model: what has the checksum, hidden or not, else what a user has made of it.

    Raises:
        RunError: it is missing or damaged.
    """
    hidden = _hidden(path)
    edited = editable and path.exists() and hidden.exists() and path.stat().st_mtime_ns > hidden.stat().st_mtime_ns
    for content in map(_content, (path,) if edited else (path, hidden)):
        if content is not None and hashlib.sha256(content).hexdigest() == checksum:
            return content
    content = read_run_file(path)
    if not editable:
        raise RunError(f"{path} is damaged: its checksum is not the one in {MANIFEST}; train again")
    return content


def _read_manifest(folder: Path) -> bytes:
    """The manifest of a model.

    Raises:
        RunError: there is none, or it cannot be read.
    """
    try:
        return read_file(folder / MANIFEST)
    except FileNotFoundError:
        raise RunError(f"{folder} holds no finished model (no {MANIFEST}); finish the training with --resume") from None
    except OSError as error:
        raise RunError(f"{folder / MANIFEST} cannot be read: {reason(error)}") from None


def _content(path: Path) -> bytes | None:
    try:
        return read_file(path)
    except OSError:
        return None


def edit_notice(folder: Path, files: Mapping[str, bytes]) -> str | None:
    """A line that says that a file which may be edited is not as it was trained; None if it is.

    Args:
        folder: of the model.
        files: as :func:`read_folder` has just read them.
    """
    expected = parse_json(read_run_file(folder / MANIFEST), folder / MANIFEST)["files"]
    for name in EDITABLE:
        if name in files and hashlib.sha256(files[name]).hexdigest() != expected[name]:
            return f"note: {folder / name} is not as it was trained: it was edited, or is damaged"
    return None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder, which is made; the system takes the lock from a process that ends.

    Raises:
        RunError: another process is in it, or it cannot be made.
    """
    if folder.absolute() in _held:
        yield
        return
    with _lock(folder):
        _held.add(folder.absolute())
        try:
            yield
        finally:
            _held.remove(folder.absolute())
            with suppress(OSError):  # it could be made, so only a fault forbids this
                (folder / LOCK).unlink()
                folder.rmdir()  # if nothing was written


def _lock(folder: Path) -> IO[Any]:
    """The file that is locked as long as it is open."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(folder, error) from None
        try:
            file = _open_here(folder / LOCK, "a")
        except FileNotFoundError:  # another process has just ended and removed the folder
            continue
        except OSError as error:
            raise unwritable(folder, error) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise RunError(f"another process is training {folder}; wait for it, or choose another folder") from None
        except OSError:  # a file system without locks
            return file
        if _is_at(file, folder / LOCK):
            return file
        file.close()


def write_checkpoint(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace the checkpoint ``folder``; what was there stays until the new one is whole.

    Raises:
        RunError: it cannot be written.
    """
    fresh, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    try:
        if not folder.exists() and (fresh / MANIFEST).is_file():  # a kill came before the last rename
            os.rename(fresh, folder)
        _remove(fresh)
        write_folder(fresh, files)
        _remove(old)
        if folder.exists():
            os.rename(folder, old)
        os.rename(fresh, folder)
        _remove(old)
    except OSError as error:
        raise unwritable(folder, error) from None
    except RunError:
        _remove(fresh)
        raise


def read_checkpoint(folder: Path) -> dict[str, bytes] | None:
    """The newest whole checkpoint: ``folder``, or what a kill between two renames has left of it; None without any.

    Raises:
        RunError: it is damaged, be it in a file that may be edited in a finished run.
    """
    for candidate in (folder, folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")):
        if (candidate / MANIFEST).is_file():
            return read_folder(candidate, editable=())
    return None


def remove_checkpoint(folder: Path) -> None:
    """Remove a checkpoint and what is left of earlier ones."""
    for suffix in ("", ".new", ".old"):
        _remove(folder.with_name(folder.name + suffix))


def _remove(folder: Path) -> None:
    """Remove a folder, if it is there; of a link to one, the link."""
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def to_json(data: Any) -> bytes:
    """Plain data as an indented JSON file."""
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()


def parse_json(content: bytes, path: Path) -> Any:
    """The data of a JSON file.

    Raises:
        RunError: it is not JSON.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise RunError(f"{path} is damaged: it is not JSON; train again") from None


def read_run_file(path: Path) -> bytes:
    """The content of a file of a run.

    Raises:
        RunError: it cannot be read.
    """
    try:
        return read_file(path)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {reason(error)}") from None
