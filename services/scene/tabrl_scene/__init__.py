"""Which environments exist and what their robots are made of."""
