"""Film grain for images."""
