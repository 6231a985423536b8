"""Plans at national size: prices on capacity instead of columns, and a proven bound from them."""
