"""Where networks are trained, and by how many processes, if ``torchrun`` starts several.

All processes do the same, with the same randomness; only the training of the network for images is shared between
them (:func:`nsr.perception.network.fit`). The first one writes the run folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed as group
from torch import nn

from nsr.errors import ConfigError


@contextmanager
def processes(device: str) -> Iterator[None]:
    """Join the other processes, if ``torchrun`` started this one.

    Args:
        device: see :func:`usable`; with GPUs each process of a machine has its own.
    """
    device = usable(device)
    if "LOCAL_RANK" not in os.environ or group.is_initialized():
        yield
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    group.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield
    finally:
        group.destroy_process_group()


def rank() -> int:
    """The number of this process, 0 if there are no others."""
    return group.get_rank() if group.is_initialized() else 0


def world() -> int:
    """How many processes there are."""
    return group.get_world_size() if group.is_initialized() else 1


def share_buffers(network: nn.Module) -> None:
    """Let all processes have the first one's buffers, for instance means of batches."""
    if world() > 1:
        for buffer in network.buffers():
            group.broadcast(buffer, 0)


def usable(device: str) -> str:
    """``cuda`` if that is allowed (``auto`` or ``cuda``) and there is a GPU, else ``cpu``."""
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def check_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises:
        ConfigError: it is ``cuda``, and this machine has no GPU.
    """
    if device == "cuda" and usable(device) != "cuda":
        raise ConfigError("torch finds no GPU here; use --device cpu, or auto")
