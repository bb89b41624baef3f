"""How much one client may ask for, send, or keep waiting."""
