"""The parts of `obsagent top`: what is read, how it looks, which keys do what, and the terminal itself."""
