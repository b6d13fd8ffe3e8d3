"""C-MET: the network that turns a change of emotion in the voice into a change of expression in the face.

Network, losses, sampler, training and prediction. Which clips form a pair and how pairs are stored belongs in
`cmet.pairs` and `cmet.shards`; what is done with a predicted expression belongs in `cmet.editing`.
"""
