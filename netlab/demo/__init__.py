"""`netlab demo`: plays a lab, shows everything that happens in one timeline, and checks each claim of the exercise."""
