"""A role for tests that says nothing about its options."""
