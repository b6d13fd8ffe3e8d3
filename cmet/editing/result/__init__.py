"""The file of an edit: written with its sound, marked, with its provenance and credentials, or beside the original."""
