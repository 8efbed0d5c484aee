"""A lab in a browser: a drawing in which requests move, and the replay of what has happened."""
