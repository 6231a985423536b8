"""HTTP of scheduling: each module parses, makes one call and renders."""
