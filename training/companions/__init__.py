"""Small models that go with the embedded one, each made by a command of its own."""
