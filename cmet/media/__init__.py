"""Reading and writing video and sound. What is in the picture (faces, landmarks) belongs to `backbones` and `clips`."""
