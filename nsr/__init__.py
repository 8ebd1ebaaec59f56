"""nsr: the Neural-Symbolic Recursive Machine.

import nsr

model = nsr.train("scan", split="length", seed=0)
model.predict(["jump twice and walk"])
print(model.deduce("jump around left").pretty())
"""

from nsr._version import __version__
from nsr.experiment import evaluate, load, train
from nsr.gss import GSS
from nsr.model import NSR
from nsr.tasks import Task

__all__ = ["GSS", "NSR", "Task", "__version__", "evaluate", "load", "train"]
