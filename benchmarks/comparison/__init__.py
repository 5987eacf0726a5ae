"""What compare.py and plot.py are made of; Python's standard library only."""
