import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # `training` is part of the repository, not of the package


@pytest.fixture(scope="session")
def font() -> Path:
    """The emoji font, for tests that draw."""
    from training.fonts import find_font

    path = find_font()
    if path is None:
        pytest.skip("draws glyphs: needs the font NotoColorEmoji.ttf (fonts-noto-color-emoji)")
    return path
