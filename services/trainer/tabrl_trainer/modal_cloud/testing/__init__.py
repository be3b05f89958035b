"""A Modal of this machine for tests: a server that speaks the client's protocol, and containers that are processes."""
