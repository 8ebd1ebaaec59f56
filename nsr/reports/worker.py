"""The process that trains one run behind a table: ``python -m nsr.reports.worker REQUEST``.

Its standard input is a line to the process that started it. When that ends, however it does, so does this one, and what
it has trained so far is in the checkpoint.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from nsr.errors import NSRError
from nsr.reports.trainings import Training, perform


def main(request: str) -> int:
    """Train; returns the exit status."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asked = json.loads(request)
    try:
        perform(Training.from_json(asked["training"]), Path(asked["folder"]), asked["checkpoint_seconds"])
    except NSRError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
