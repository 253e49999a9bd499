"""The door: one module per command group. Parse, call one function, print. Imports are lazy."""
