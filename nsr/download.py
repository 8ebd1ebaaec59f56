"""Downloads that go on where they broke off and are checked by sha256; they need pooch, which is optional."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from nsr.errors import ConfigError, DataError, reason

if TYPE_CHECKING:
    from requests import RequestException, Response

    from nsr.tasks.sources import File

TRIES = 4  # in a row without a byte more
SECONDS = 30  # without a byte, after which a transfer counts as broken
CHUNK = 1 << 13  # bytes; of a broken transfer at most so many are lost
PASSING = (408, 429)  # statuses that may be others soon, besides those from 500 on


def require_pooch() -> None:
    """Fail now rather than after other work.

    Raises:
        ConfigError: pooch is not installed.
    """
    try:
        import pooch  # noqa: F401
    except ImportError:
        raise ConfigError("downloads need pooch, which is not installed: pip install nsr[data]") from None


def download(file: File, path: Path, *, progress: bool = False, pause: float = 1.0) -> None:
    """Download a file; what was at the path is replaced once all has arrived and been checked.

    What has arrived of a broken transfer stays in ``NAME.part``, and the next download of the file goes on from there,
    unless there is no checksum by which to notice that the file has changed in between.

    Args:
        file: where it is, and what it must be.
        path: where to put it.
        progress: show a bar on stderr.
        pause: seconds before the next try, doubled for each try in a row that brought nothing.

    Raises:
        ConfigError: pooch is not installed.
        DataError: it cannot be fetched or written, or is not what it must be; then it is not kept.
    """
    require_pooch()
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    part, fresh = (path.with_name(f"{path.name}{ending}") for ending in (".part", ".new"))
    try:
        if file.sha256 is None:
            for stale in (part, fresh):
                stale.unlink(missing_ok=True)
        checksum = file.sha256 and f"sha256:{file.sha256}"
        pooch.retrieve(file.url, checksum, fresh.name, path.parent, downloader=Transfer(part, progress, pause))
        fault = file.fault(fresh)
        if fault:
            fresh.unlink()
            raise DataError(f"{file.url} is not the published file: it {fault}; it was not kept")
        os.replace(fresh, path)
    except requests.RequestException as error:
        advice = "the same command continues" if file.sha256 and _size(part) else "try again later"
        raise DataError(f"{file.url} cannot be fetched: {_reason(error)}; {advice}") from None
    except ValueError:  # of pooch
        raise DataError(
            f"{file.url} is not the published file: its sha256 is not {file.sha256}; it was not kept"
        ) from None
    except PermissionError:  # pooch puts more into it
        raise DataError(f"{path.parent} cannot be written: Permission denied") from None
    except OSError as error:
        raise DataError(f"{path.parent} cannot be written: {reason(error)}") from None


class Transfer:
    """A downloader for pooch that collects a file in ``part`` and, when the transfer breaks, asks for the rest."""

    def __init__(self, part: Path, progress: bool, pause: float) -> None:
        self.part = part
        self.progress = progress
        self.pause = pause

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Fetch the file, trying again as long as that brings more of it."""
        from requests import RequestException

        most, failures = _size(self.part), 0
        with tqdm(desc=self.part.stem, unit="B", unit_scale=True, leave=False, disable=not self.progress) as bar:
            while True:
                try:
                    self._receive(url, bar)
                    break
                except RequestException as error:
                    failures = 0 if _size(self.part) > most else failures + 1
                    most = max(most, _size(self.part))
                    if failures == TRIES or _is_final(error):
                        raise
                    time.sleep(self.pause * 2**failures)
        os.replace(self.part, output_file)

    def _receive(self, url: str, bar: tqdm) -> None:
        """Receive what is missing, or everything from a server that does not send parts."""
        import requests

        have = _size(self.part)
        headers = {"Accept-Encoding": "identity"}  # the bytes sent are those of the file
        if have:
            headers["Range"] = f"bytes={have}-"
        with requests.get(url, headers=headers, stream=True, timeout=SECONDS) as answer:
            if have and not _continues(answer, have):
                self.part.unlink()
                have = 0
                if answer.status_code != requests.codes.ok:
                    raise requests.ConnectionError("the rest does not fit")
            answer.raise_for_status()
            length = answer.headers.get("Content-Length")
            bar.total, bar.n = have + int(length) if length else None, have
            with self.part.open("ab") as file:
                for chunk in answer.iter_content(CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
            if length and _size(self.part) < have + int(length):
                raise requests.ConnectionError("the transfer broke off")


def _continues(answer: Response, have: int) -> bool:
    """Whether an answer is the rest of the file, or an error that leaves what there is as it is."""
    if answer.status_code == 206:
        return answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    return answer.status_code not in (200, 416)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _is_final(error: RequestException) -> bool:
    """Whether trying again is of no use."""
    status = 500 if error.response is None else error.response.status_code
    return status < 500 and status not in PASSING


def _reason(error: RequestException) -> str:
    """What went wrong, in a few words."""
    from requests import Timeout

    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    return f"no answer within {SECONDS} seconds" if isinstance(error, Timeout) else "the connection failed"
