"""The life of one lab: `up`, `down`, `reload`, commands in its nodes, and how it differs from its plan."""
