"""braid-mini: its examples, tokenizer, recipe, measurement and card."""
