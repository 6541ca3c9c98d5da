"""What is kept of requests one by one, by their id: predictions, truths, and rows. On the wire and in the journal."""
