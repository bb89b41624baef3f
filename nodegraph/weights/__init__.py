"""Tensors in files: headers, few bits, layouts of single files; what models hold in memory."""
