"""Files of other programs: each in a package of its own."""
