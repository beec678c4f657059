"""Targets: what is measured. ``open_target(uri)`` gives what the thing behind the URI can do."""
