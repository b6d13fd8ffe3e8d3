"""Expression codes of prepared clips, one set per backbone."""
