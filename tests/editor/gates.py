"""Workflows whose runs wait for a test, or fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parents[2] / "workflows"


def gated(gate: str, *, steps: int = 2, name: str = "gated") -> dict[str, Any]:
    """An image that isn't saved before a file of that name lies in the server's home folder.

    Args:
        name: Of the image's file.
    """
    found = _with("wait", {"type": "trials:Wait", "inputs": {"until": gate}}, name)
    found["title"] = "Gated"
    found["nodes"]["sample"]["inputs"]["steps"] = steps
    return found


def prompted(prompt: str, *, name: str, seed: int = 7, side: int = 64) -> dict[str, Any]:
    """A small image of what is asked for, after a single step.

    Args:
        name: Of the image's file.
    """
    found = text_to_image()
    found["title"] = "Prompted"
    found["nodes"]["positive"]["inputs"]["text"] = prompt
    found["nodes"]["size"]["inputs"] = {"width": side, "height": side}
    found["nodes"]["sample"]["inputs"].update(seed=seed, steps=1)
    found["nodes"]["save"]["inputs"]["name"] = name
    return found


def refusing(least: int) -> dict[str, Any]:
    """An image that isn't saved unless `least` is 0."""
    found = _with("check", {"type": "trials:Refuse", "inputs": {"least": least}}, "refused")
    found["title"] = "Refused"
    found["nodes"]["sample"]["inputs"]["steps"] = 2
    return found


def _with(name: str, node: dict[str, Any], file: str) -> dict[str, Any]:
    """Text to image with a node before the last."""
    found = text_to_image()
    nodes = found["nodes"]
    nodes[name] = {**node, "inputs": {"image": {"from": "decode"}, **node["inputs"]}}
    nodes["save"]["inputs"] = {"image": {"from": name}, "name": file}
    left, top = found["ui"]["positions"]["decode"]
    found["ui"]["positions"][name] = [left, top + 240]
    return found


def text_to_image() -> dict[str, Any]:
    """The workflow that newcomers find."""
    found: dict[str, Any] = json.loads((TEMPLATES / "text_to_image.json").read_text())
    return found
