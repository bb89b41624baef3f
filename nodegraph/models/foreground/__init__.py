"""Networks that tell what stands before a background: BiRefNet, and U²-Net with its descendants."""
