"""What would be planned if something were different: an edited situation, two plans compared."""
