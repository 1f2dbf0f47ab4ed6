"""The domain: values and rules. No clock, no randomness, no input or output: whatever varies is an argument."""
