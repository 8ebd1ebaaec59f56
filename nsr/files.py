"""Files that others may have written: read whole, if they are files and not too large."""

from __future__ import annotations

import errno
import os
import stat
import zipfile
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from nsr.errors import DataError, reason

MAX_FILE = 2**26  # bytes of a text, of JSON, of weights
MAX_ARRAYS = 2**30  # bytes of the arrays in an .npz file, unpacked


def read_file(path: str | Path, most: int = MAX_FILE) -> bytes:
    """The content of a file.

    Raises:
        OSError: it cannot be read, is a folder, a pipe or a device, or has more than ``most`` bytes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # so that a pipe is not waited for
    except ValueError:
        raise OSError(errno.EINVAL, "no file can have this name", str(path)) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most >> 20} MB", str(path))
    return content


def read_given(path: str | Path) -> bytes:
    """The content of a file that somebody named.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return read_file(path)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason(error)}") from None


def read_arrays(path: Path, names: Iterable[str], most: int = MAX_ARRAYS) -> dict[str, Any]:
    """Those of these arrays that an .npz file has; bytes of what is no array.

    Raises:
        Exception: numpy, zipfile and zlib raise many kinds; ValueError if there are more than ``most`` bytes in it.
    """
    with path.open("rb") as opened:
        with zipfile.ZipFile(opened) as archive:
            if sum(each.file_size for each in archive.infolist()) > most:
                raise ValueError(f"unpacked, it has more than {most >> 20} MB")
            for each in archive.infolist():
                with archive.open(each) as array:
                    _require_size(array, each.file_size)
        opened.seek(0)
        with np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in names if name in file}


def _require_size(array: Any, size: int) -> None:
    """Refuse an array whose header claims more than the file has, before numpy makes room for it."""
    if array.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
        return
    version = tuple(array.read(2))
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"arrays of version {version} are not read")
    shape, _, kind = readers[version](array)
    if any(side < 0 for side in shape) or prod(shape) * max(kind.itemsize, 1) > size:
        raise ValueError("an array claims to be larger than the file")
