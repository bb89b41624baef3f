"""Packs of ComfyUI, run in processes of their own."""
