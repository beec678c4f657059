"""The quality of a study's runs."""
