"""Results of whatever kind: the texts that they carry, and small pictures of them."""
