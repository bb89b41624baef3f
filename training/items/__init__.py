"""How the small models of molecules, sounds, shapes and videos are made."""
