"""Image statistics with numpy 2."""
