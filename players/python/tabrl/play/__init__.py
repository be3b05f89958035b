"""Plays TabRL's controllers in native MuJoCo: `tabrl play file.tabrl`, or from Python.

Needs MuJoCo, onnxruntime and numpy: no jax, no environment code and no TabRL service. Importing this package imports
nothing heavy.
"""
