"""Files in an object store: the inventory that says what is there, and the cache through which they are read.

What a corpus makes of the files belongs in `cmet.corpora`; published weights in `cmet.weights`.
"""
