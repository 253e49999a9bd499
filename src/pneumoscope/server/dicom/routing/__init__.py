"""Where results go and where earlier studies come from: a file of destinations and rules, checked when it is read."""
