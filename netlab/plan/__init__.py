"""Model to plan: every name, address, route and step of a lab. Pure."""
