"""The planning set: questions with their reference plans and true answers, generated from the built-in atlas.

Questions come in families (compare, rank, sum, ask in two hops, change and compare, ...) with many wordings.
Some wordings and a fifth of the atlas' titles are held out: `generate` draws training questions, held-out
templates, held-out entities, or both at once.
"""

from braid.evals.planning_set.generate import Sample, Split, generate

__all__ = ["Sample", "Split", "generate"]
