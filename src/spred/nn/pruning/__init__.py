"""From zeros to a smaller model: which channels, heads and branches of a network can be removed, and what is left.

Zeros that :func:`spred.finalize` has made are followed through the model's graph; what no output depends on is cut out.

export      the model's graph by torch.export, in evaluation mode
graph       the graph traced channel by channel: labels that go together, constants
channels    which channels no layer needs
heads       attention heads of zeros
branches    branches of a residual sum that add a constant
macs        costs that a target density is a fraction of: weights, multiply-adds
shrink      the public function: the smaller model, compared with the one given
"""
