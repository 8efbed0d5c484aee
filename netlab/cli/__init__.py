"""What a user may type, and one function for each verb."""
