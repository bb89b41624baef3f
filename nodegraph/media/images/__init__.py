"""Images: between files and tensors, in other sizes, side by side, as numbered outputs."""
