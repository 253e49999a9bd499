"""Who may do what: accounts, sessions, rate limits, the audit log."""
