"""Controllers: a policy and its environment's step as one ONNX graph with a manifest, their parity, and a player.

Importing this package imports nothing heavy; `build` and `parity` need jax, `player` only MuJoCo and onnxruntime.
"""
