"""Text to model: a topology file, every mistake in it, and its meaning."""
