"""Reading the log again: histories, balances, explanations, verification; for auditors, engineers and the API."""
