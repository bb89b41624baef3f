"""Sounds of one second: twenty kinds made by formula, and the model that is trained on them."""
