"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from nsr.semantics.primitives import PRIMITIVES
from nsr.tasks import TASKS

os.environ.setdefault("OMP_NUM_THREADS", "1")  # there is a test process for each core
settings.register_profile("nsr", deadline=None, derandomize=True, database=None)
settings.load_profile("nsr")


@pytest.fixture
def own_primitives():
    """Primitives that are registered in a test are forgotten after it."""
    known = dict(PRIMITIVES)
    yield
    PRIMITIVES.clear()
    PRIMITIVES.update(known)


@pytest.fixture
def own_tasks():
    """Tasks that are added in a test are forgotten after it."""
    known = dict(TASKS)
    yield
    TASKS.clear()
    TASKS.update(known)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The authors' data: the folder that NSR_DATA names, or shared/data beside the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("NSR_DATA") or default)
    if not path.is_dir():
        pytest.skip(f"needs the authors' data: {path} does not exist; NSR_DATA may name another folder")
    return path
