"""`netlab demo`: play a lab, show all that happened in one timeline, and check every claim of its exercise."""
