"""The tools that come with Braid: `search`, `calculate`, `rank`, `python`, `now`. `executors.builtin_tools` gives them."""
