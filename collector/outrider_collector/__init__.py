"""The collector: receives every agent's results, keeps them, and states the account of a period."""
