"""What a person may type, and one function a verb."""
