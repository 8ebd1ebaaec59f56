"""The network that classifies images, and how it is trained.

Strokes are widened (max-pooling), the image is halved, and four small convolutions follow. It is trained on images that
are turned, stretched, slanted and shifted a little each time.

Shape letters: M images, K symbols.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, max_pool2d, pad
from torch.nn.parallel import DistributedDataParallel

from nsr.devices import rank, share_buffers, world
from nsr.settings import setting

SIDE = 24  # of an image as the network sees it
BLOCK = 1024  # images classified at once
KERNELS, STRIDES = (5, 3, 3, 3), (2, 2, 2, 1)  # of the convolutions


@dataclass(frozen=True)
class ImageConfig:
    """The network for images and how it is trained."""

    channels: str = setting("32 64 128 128", "channels of the four convolutions, separated by spaces")
    dropout: float = setting(0.3, "share of the last layer's inputs that training leaves out")
    first_steps: int = setting(100, "training steps of a turn of grounding")
    image_steps: int = setting(2400, "training steps of a refit")
    image_batch: int = setting(128, "images of a training step")
    image_rate: float = setting(6e-3, "learning rate of AdamW, at its highest")
    image_decay: float = setting(0.02, "weight decay of AdamW")
    turn: float = setting(0.1, "augmentation: at most so many radians")
    stretch: float = setting(0.16, "augmentation: share of width and of height")
    slant: float = setting(0.12, "augmentation: shear")
    shift: float = setting(0.1, "augmentation: share of half the side")
    smoothing: float = setting(0.02, "share of a label's weight given to all symbols alike")
    views: int = setting(8, "views of an image that are looked at after training: itself, and others a little changed")
    device: str = setting("auto", "where the network runs: cpu, cuda, or auto: cuda if there is a GPU")


class SymbolNetwork(nn.Module):
    """Classifies images, in float32 of shape (M, 1, SIDE, SIDE) as :func:`prepare` makes them, into K symbols."""

    def __init__(self, symbols: int, config: ImageConfig) -> None:
        super().__init__()
        sizes = [int(each) for each in config.channels.split()]
        layers: list[nn.Module] = []
        for before, after, kernel, stride in zip([1, *sizes], sizes, KERNELS, STRIDES, strict=False):
            layers += [
                nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(config.dropout))
        self.head = nn.Linear(sizes[-1] * (SIDE // 8) ** 2, symbols)

    def forward(self, images: Tensor) -> Tensor:
        """Scores of the symbols, shape (M, K)."""
        return self.head(self.body(images))

    def grow(self, symbols: int) -> None:
        """Have so many symbols: what is known of those there are is kept, the others are as probable as all before."""
        old, known = self.head, self.head.out_features
        self.head = nn.Linear(old.in_features, symbols).to(old.weight.device)
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.bias.zero_()
            self.head.weight[:known] = old.weight
            self.head.bias[:known] = old.bias


def prepare(images: np.ndarray) -> Tensor:
    """Grey values 0 (ink) to 255, uint8, as the network sees them: ink is 1, strokes widened, (M, 1, SIDE, SIDE)."""
    ink = torch.from_numpy(255 - images)[:, None].float() / 255
    ink = max_pool2d(ink, 3, 1, 1)
    room = 2 * SIDE - ink.shape[-1]
    return avg_pool2d(pad(ink, (room // 2, room - room // 2, room // 2, room - room // 2)), 2)


def augment(images: Tensor, config: ImageConfig, generator: torch.Generator) -> Tensor:
    """Each image turned, stretched, slanted and shifted at random."""

    def draw(most: float) -> Tensor:
        return (2 * torch.rand(len(images), generator=generator) - 1) * most

    turn, wide, high, slant = draw(config.turn), 1 + draw(config.stretch), 1 + draw(config.stretch), draw(config.slant)
    rows = [
        torch.stack([wide * turn.cos(), slant - high * turn.sin(), draw(config.shift)], 1),
        torch.stack([wide * turn.sin(), high * turn.cos(), draw(config.shift)], 1),
    ]
    grid = affine_grid(torch.stack(rows, 1).to(images.device), list(images.shape), align_corners=False)
    return grid_sample(images, grid, align_corners=False)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let what torch draws without a generator (weights, dropout) come from this seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def fit(
    network: SymbolNetwork, images: Tensor, labels: Tensor, weights: Tensor, steps: int, config: ImageConfig, seed: int
) -> None:
    """Train on images drawn by their weights, with one cycle of the learning rate.

    Under ``torchrun`` the processes share each step's images.

    Args:
        network: changed in place.
        images: as :func:`prepare` makes them, shape (M, 1, SIDE, SIDE).
        labels: distributions over the symbols, shape (M, K).
        weights: how often each image is drawn, shape (M,).
        steps: of ``config.image_batch`` images.
        config: the settings.
        seed: source of all randomness.
    """
    seed += rank()
    generator = torch.Generator().manual_seed(seed)
    trained = DistributedDataParallel(network) if world() > 1 else network
    optimiser = torch.optim.AdamW(network.parameters(), config.image_rate, weight_decay=config.image_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.image_rate, total_steps=steps, pct_start=0.2)
    labels = (1 - config.smoothing) * labels + config.smoothing / labels.shape[1]
    network.train()
    with seeded(seed):
        for _ in range(steps):
            drawn = torch.multinomial(weights, -(-config.image_batch // world()), replacement=True, generator=generator)
            batch = augment(images[drawn], config, generator).to(config.device)
            loss = -(labels[drawn].to(config.device) * torch.log_softmax(trained(batch), 1)).sum(1).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    share_buffers(network)
    network.eval()


@torch.no_grad()
def classify(network: SymbolNetwork, images: Tensor, config: ImageConfig) -> Tensor:
    """Scores of the symbols, float32, shape (M, K)."""
    network.eval()
    found = [torch.zeros(0, network.head.out_features)]
    for start in range(0, len(images), BLOCK):
        found.append(network(images[start : start + BLOCK].to(config.device)).cpu())
    return torch.cat(found)


def classify_views(network: SymbolNetwork, images: Tensor, views: int, config: ImageConfig) -> Tensor:
    """The mean scores of so many views of each image: itself, and others changed less than in training; (M, K)."""
    scores = classify(network, images, config)
    if views == 1:
        return scores
    scores = torch.log_softmax(scores, 1)
    small = replace(config, **{name: getattr(config, name) / 2 for name in ("turn", "stretch", "slant", "shift")})
    generator = torch.Generator().manual_seed(0)
    for _ in range(views - 1):
        scores += torch.log_softmax(classify(network, augment(images, small, generator), config), 1)
    return scores / views


def temperature_of(scores: Tensor, labels: Tensor) -> float:
    """The temperature that makes these labels, distributions over the symbols, most probable (Guo et al. 2017)."""
    grid = [math.exp(step / 10) for step in range(-10, 16)]
    losses = [-(labels * torch.log_softmax(scores / each, 1)).sum(1).mean().item() for each in grid]
    return grid[int(np.argmin(losses))]
