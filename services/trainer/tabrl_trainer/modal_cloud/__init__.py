"""Training on Modal: `relay` runs there, everything else here. `names` is what both sides agree on."""
