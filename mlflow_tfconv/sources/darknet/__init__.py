"""Networks of darknet: an architecture as text (`.cfg`) and weights as bare numbers."""
