"""What tests of labs need: netlab's own tests, and those of its users. Nothing else in netlab imports it."""
