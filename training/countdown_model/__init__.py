"""braid-countdown: its recipe, measurement and card."""
