"""How the models of this repository are made: data, tokenizer, training, measurement and export of braid-mini."""
