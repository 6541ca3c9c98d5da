"""What the actions of `obsagent reference` do and print."""
