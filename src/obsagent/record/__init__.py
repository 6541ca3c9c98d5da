"""What lives in the model's process: instruments, the recorder and the conversation with the agent."""
