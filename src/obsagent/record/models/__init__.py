"""Models in the client: what their requests are given and predict, counted by column, in the bins of a reference."""
