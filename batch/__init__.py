"""From history to a champion set: dataset and training. May import `stream.stores`, nothing else of `stream`."""
