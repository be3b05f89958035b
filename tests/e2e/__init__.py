"""End to end: the page in a real Chromium, in front of all of TabRL."""
