"""What is kept of requests by their id: predictions, truths and rows. On the wire and in the journal alike."""
