"""netlab from Python: `from netlab import Lab, Topology`. The command line is words for what stands here."""
