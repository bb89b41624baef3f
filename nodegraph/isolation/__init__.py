"""Isolated packs: separate processes and environments that run the code of packs."""
