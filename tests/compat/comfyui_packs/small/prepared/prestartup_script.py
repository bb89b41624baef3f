import os

os.environ["PREPARED"] = "yes"
