import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # `training` is part of the repository, not of the package


@pytest.fixture(scope="module", autouse=True)
def _no_traces() -> Iterator[None]:
    """Training sets up its whole process, which here is that of other tests, too."""
    threads, drawn = torch.get_num_threads(), torch.get_rng_state()
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        # It can't be undone, and later nothing could tell what memory something takes.
        patch.setattr("training.trainer.keep_freed_memory", lambda: None)
        yield
    torch.set_num_threads(threads)
    torch.set_rng_state(drawn)


@pytest.fixture(scope="session")
def font() -> Path:
    """The emoji font, for tests that draw."""
    from training.fonts import find_font

    path = find_font()
    if path is None:
        pytest.skip("draws glyphs: needs the font NotoColorEmoji.ttf (fonts-noto-color-emoji)")
    return path
