"""The gatekeeper: frozen features, linear answers on top of them, and how often they are right elsewhere."""
