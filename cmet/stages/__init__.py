"""The stages of the pipeline as plain functions, one per file; `registry` has all of them and runs one.

A stage gets the places of a project and the parameters that it declares. It opens the products that stages to its left
have left, writes its own output folder whole or not at all, shows progress, can be killed and run again, and returns a
report of counts and metrics. The work is imported inside the functions: `cmet manifest` must not wait for torch.
"""
