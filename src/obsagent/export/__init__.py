"""What the agent keeps, in the forms in which other systems read it."""
