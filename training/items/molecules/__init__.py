"""Molecules of up to nine atoms: their maker, the model's training, and how it is measured."""
