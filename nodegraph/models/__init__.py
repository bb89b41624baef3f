"""Models: found, identified, opened, loaded, adapted, offloaded."""
