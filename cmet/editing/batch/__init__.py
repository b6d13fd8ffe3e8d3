"""Many edits: from a table or a folder, each made once however often the batch is started, and one page of all."""
