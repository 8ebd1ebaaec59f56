"""nsr: the Neural-Symbolic Recursive Machine.

import nsr

model = nsr.train("scan", split="length", seed=0)
model.predict(["jump twice and walk"])
print(model.deduce("jump around left").pretty())
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nsr._version import __version__

if TYPE_CHECKING:
    from nsr.experiment import evaluate, load, train
    from nsr.gss import GSS
    from nsr.model import NSR
    from nsr.semantics.own import register_primitives
    from nsr.tasks import Task

__all__ = ["GSS", "NSR", "Task", "__version__", "evaluate", "load", "register_primitives", "train"]

_HOMES = {
    "GSS": "nsr.gss",
    "NSR": "nsr.model",
    "Task": "nsr.tasks",
    "evaluate": "nsr.experiment",
    "load": "nsr.experiment",
    "register_primitives": "nsr.semantics.own",
    "train": "nsr.experiment",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that the command line starts without torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nsr' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
