"""How the models of this repository are made: data, tokenizers, training, measurement and export.

The face is empty. `braid.training.cli` has the commands, and importing it must not import torch.
"""
