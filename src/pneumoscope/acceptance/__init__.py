"""Site acceptance: whether a model does at a department what the department asked of it before it looked."""
