"""Prompts at five levels: from a spreadsheet, by a template, by a model."""
