"""The stochastic engine: L1 and group penalties on any torch model, with any loss and any torch optimiser.

groups     the public penalties: which tensors, which groups, how strong, how deep
modules    parametrize, penalty, fold: the identity by autograd, the road to read
factored   one penalised tensor and its factors
optimizer  SpredOptimizer: the same steps inside any torch optimiser, the model untouched
inspect    what a model in training has reached: sparsity, balance, decay budget, residual
finalize   exact zeros
"""

from spred.nn.finalize import FinalizeReport, finalize
from spred.nn.groups import L1, GroupL1, weights
from spred.nn.inspect import ModelReport, inspect
from spred.nn.modules import fold, parametrize, penalty
from spred.nn.optimizer import SpredOptimizer

__all__ = [
    "L1",
    "FinalizeReport",
    "GroupL1",
    "ModelReport",
    "SpredOptimizer",
    "finalize",
    "fold",
    "inspect",
    "parametrize",
    "penalty",
    "weights",
]
