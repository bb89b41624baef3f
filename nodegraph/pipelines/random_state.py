"""Random numbers of the process, which some pipelines draw from and seed anew."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def own_random_state(seed: int, device: str) -> Iterator[None]:
    """Random numbers by a seed inside the `with`, whoever draws them; afterwards all as before."""
    theirs, numbers = random.getstate(), np.random.get_state()
    devices = [device] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices):
        try:
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            yield
        finally:
            random.setstate(theirs)
            np.random.set_state(numbers)
