"""The subcommands of `hexgate study`."""
