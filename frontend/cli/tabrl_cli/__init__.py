"""TabRL from a terminal."""
