"""Speech-emotion encoders behind one protocol, and what their differences say about emotion (`directions`)."""
