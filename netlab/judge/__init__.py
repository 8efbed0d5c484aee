"""Says from packets alone whether the programs of a lab do what the exercise asks for."""
