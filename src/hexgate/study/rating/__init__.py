"""The models of a study, rated."""
