"""Agreements between the parties: read from their files (`files`), with a JSON Schema (`schema`), and as OpenSLO."""
