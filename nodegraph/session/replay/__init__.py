"""Make a result file again from the file alone, and compare the two files."""
