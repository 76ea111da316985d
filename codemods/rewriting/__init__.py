"""The hands: operations as data, the libcst transformers that carry them out, lowering to edits."""
