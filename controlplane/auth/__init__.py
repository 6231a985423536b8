"""Who may do what: roles, provider keys, logins and the audit chain."""
