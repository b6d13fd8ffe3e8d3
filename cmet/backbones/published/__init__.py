"""What the backbones that are published networks share: loading, precision, batches, and which files were used."""
