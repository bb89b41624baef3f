"""Images made larger by networks: their weights, and the tiles that they work in."""
