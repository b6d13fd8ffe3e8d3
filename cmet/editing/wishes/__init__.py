"""What a person may wish of an edit, how it is written down, and what is refused before anything slow."""
