"""Talking-face models behind one interface.

A backbone is what C-MET steers: it reads expression codes off a face and shows a face with other codes. Adding one
means adding a module or folder here and a line in `registry.py`.
"""
