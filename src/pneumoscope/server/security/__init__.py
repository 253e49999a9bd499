"""Who may do what (`permissions`): accounts, sessions, tokens, rate limits, the audit log."""
