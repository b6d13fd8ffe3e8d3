"""The judge: a frame classifier that says which emotion a clip shows.

A clip's answer is the mean of the logits of evenly spaced frames. A judge is trained here on unedited clips of the
training speakers, or it is a released checkpoint that is used as it is; it knows nothing of any backbone or connector,
so it can compare them. What is counted of its answers belongs in `cmet.scores`.
"""
