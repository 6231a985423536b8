"""What the outside world is made of: pure rules of clusters, traces and what is told of them."""
