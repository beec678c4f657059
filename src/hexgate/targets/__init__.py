"""Targets: what is measured. ``registry.open_target(uri)`` gives what the thing behind the URI can do."""
