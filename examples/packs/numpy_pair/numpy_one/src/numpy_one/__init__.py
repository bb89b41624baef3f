"""Image statistics with numpy 1."""
