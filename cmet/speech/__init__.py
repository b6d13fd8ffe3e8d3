"""Speech-emotion encoders behind one interface, and what their differences say about emotion (`directions`)."""
