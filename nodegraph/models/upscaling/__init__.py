"""Pictures made larger by networks: their files, their weights, and the tiles that they work in."""
