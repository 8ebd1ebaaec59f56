"""Settings: dataclass fields that say what they are for, in the code and on the command line."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def setting(default: Any, reason: str) -> Any:
    """A dataclass field with its default and, in one line, what it is for."""
    return field(default=default, metadata={"reason": reason})
