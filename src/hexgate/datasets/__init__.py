"""What is measured on: classification sets and prompts, read from JSON, JSON Lines, CSV and plain text."""
