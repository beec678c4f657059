"""Studies: models x tasks x loads x repeats, planned first, run once each, and kept as they are measured."""
