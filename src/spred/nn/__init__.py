"""The stochastic engine: L1 and group penalties on any torch model, with any loss and any torch optimiser.

groups     the public penalties: which tensors, which groups, how strong, how deep
modules    parametrize, penalty, fold: the identity by autograd, the road to read
factored   one penalised tensor and its factors; gradients: theirs, in place
metric     why the dense model's learning rate works
reopen     weights that noise has closed get another chance
steer      a target density is reached along a curve; cost: what it is a share of, weights or multiply-adds
watch      divergence and collapse, by name
optimizer  SpredOptimizer: the same steps inside any torch optimiser (base), the model untouched
compiled   a step as one program; checkpoint: what is saved
inspect    what a model in training has reached: sparsity, balance, decay budget, residual
finalize   exact zeros, by the rule in zeros
frontier   a warm path of alphas from one run
shrink     what is dead is cut out: channels (found by reading the graph), heads and branches
"""

from spred.nn.alpha_path import PathPoint, alpha_path
from spred.nn.finalize import FinalizeReport, finalize
from spred.nn.inspect import ModelReport, inspect
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.parametrize import parametrize, penalty, remove_parametrizations
from spred.nn.penalties import L1, GroupL1, prunable_weights
from spred.nn.pruning.macs import MACs
from spred.nn.pruning.shrink import shrink

__all__ = [
    "L1",
    "FinalizeReport",
    "GroupL1",
    "MACs",
    "ModelReport",
    "PathPoint",
    "SpredOptimizer",
    "alpha_path",
    "finalize",
    "inspect",
    "parametrize",
    "penalty",
    "prunable_weights",
    "remove_parametrizations",
    "shrink",
]
