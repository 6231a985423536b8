"""Commands of the control plane itself."""
