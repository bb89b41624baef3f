"""Where node types come from: packs, what they declare, the code behind it."""
