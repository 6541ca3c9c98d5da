"""The agent's ear: messages are decoded, checked, admitted within the budgets and written once."""
