"""The pages of the control room, one module each."""
