"""What a lab shows: its state, its counters, its lines and its packets."""
