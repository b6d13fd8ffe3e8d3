"""Studies: variants of an experiment, each trained with several seeds, and compared in one table.

`ablations` lays layers of changes over an experiment, `unseen` leaves each emotion out of training in turn. A run of
either (`runner`) consists of steps (`steps`), each of which is done once for all that it is made of (`record`). What a
training, an edit and a score are belongs in `cmet.connector`, `cmet.edits`, `cmet.judge` and `cmet.scores`.
"""
