"""The model that sets pictures in motion: its clips, training, measures and card."""
