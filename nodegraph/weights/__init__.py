"""Tensors in files: headers, few bits, layouts of single files."""
