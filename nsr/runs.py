"""Run folders: files written whole or not at all, and read back only if they are what was written.

A folder that holds a model has a ``manifest.json``, written last, with the format and the sha256 of each file. The
lexicon is left out of the checks: it is meant to be edited by hand, and its parser checks it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nsr._version import __version__
from nsr.errors import RunError
from nsr.files import read_file

FORMAT = 4
MANIFEST = "manifest.json"
MAX_FILES = 32  # of a model
FILE_NAME = re.compile(r"[\w-][\w.-]*", re.ASCII)  # of a file of a model
EDITABLE = ("lexicon.nsr",)
PROVENANCE = "provenance.json"  # who trained a run that is behind a table, see nsr.reports.trainings


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that at any moment it is either the old one or the new one.

    What a kill may leave is one hidden file, which the next writing of the same file takes over.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as file:  # not through a link to elsewhere
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a model and then their manifest.

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
        for name, content in files.items():
            write_file(folder / name, content)
        write_file(folder / MANIFEST, to_json(manifest))
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror or error}") from None


def read_folder(folder: Path) -> dict[str, bytes]:
    """The files of a model, checked against their manifest.

    Raises:
        RunError: there is no finished model, another version wrote it, or a file is missing or damaged.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is not a run folder: {'it is a file' if folder.exists() else 'it does not exist'}")
    if not (folder / MANIFEST).is_file():
        raise RunError(f"{folder} holds no finished model (no {MANIFEST}); finish the training with --resume")
    manifest = parse_json(read_run_file(folder / MANIFEST), folder / MANIFEST)
    try:
        found, expected = manifest["format"], {str(name): each for name, each in manifest["files"].items()}
        version = str(manifest["version"])
    except (KeyError, TypeError, AttributeError):
        raise RunError(f"{folder / MANIFEST} is damaged; train again") from None
    if found != FORMAT:
        raise RunError(
            f"{folder} has format {found!r}, written by nsr {version}; nsr {__version__} reads format {FORMAT}"
        )
    files = {}
    if len(expected) > MAX_FILES:
        raise RunError(f"{folder / MANIFEST} is damaged: it lists more than {MAX_FILES} files")
    for name, checksum in expected.items():
        if not FILE_NAME.fullmatch(name):
            raise RunError(f"{folder / MANIFEST} is damaged: {name!r} is not a file name")
        files[name] = read_run_file(folder / name)
        if name not in EDITABLE and hashlib.sha256(files[name]).hexdigest() != checksum:
            raise RunError(f"{folder / name} is damaged: its checksum is not the one in {MANIFEST}; train again")
    return files


def write_checkpoint(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace the checkpoint ``folder``; what was there stays until the new one is whole."""
    fresh, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    if not folder.exists() and (fresh / MANIFEST).is_file():  # a kill came before the last rename
        os.rename(fresh, folder)
    _remove(fresh)
    write_folder(fresh, files)
    _remove(old)
    if folder.exists():
        os.rename(folder, old)
    os.rename(fresh, folder)
    _remove(old)


def read_checkpoint(folder: Path) -> dict[str, bytes] | None:
    """The newest whole checkpoint: ``folder``, or what a kill between two renames has left of it; None without any."""
    for candidate in (folder, folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")):
        if (candidate / MANIFEST).is_file():
            return read_folder(candidate)
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
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from None
