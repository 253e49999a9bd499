"""Networks: trunks, heads, weights, and what a recipe's network consists of."""
