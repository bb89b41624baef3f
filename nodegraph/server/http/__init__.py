"""HTTP: the application, its routes, errors and answers."""
