"""The tools that come with Braid: `search`, `calculate`, `rank`, `python`, `now`. `braid.executors.builtin_tools` gives them."""
