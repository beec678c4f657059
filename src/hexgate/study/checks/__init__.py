"""Whether a study is complete and holds together."""
