"""How each API is spoken, without a socket: a request to bytes, and bytes to events. One module a dialect."""
