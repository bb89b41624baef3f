"""Language models in folders of transformers, which answer and write."""
