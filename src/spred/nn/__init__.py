"""The stochastic engine: L1 and group penalties on any torch model, with any loss and any torch optimiser.

    L(v) + Σ Ω(v),   Ω(v) = α Σ_g ω_g ‖v_g‖^{2/D}

is minimised through factors of v with plain L2 on them (docs/math.md, §1 to §3), in minibatches. Two forms take the
same steps: ``SpredOptimizer`` inside the optimiser, ``parametrize`` by autograd.

penalties      the public penalties, L1 and GroupL1: which tensors, which groups, how strong, how deep
joined         penalised values that span several tensors, as one matrix with a row for each group
kept_zeros     zeros that are there at the start, and stay
packing        how attention lays out its heads in its weights
sharding       what is counted over the parts of a tensor that several processes hold
optimizer      SpredOptimizer and its parts: the base optimiser steps on factors, the model stays plain
parametrize    the same objective by autograd: parametrize, penalty, remove_parametrizations
model_weights  the weights of a model in either form, and the mean gradient of its loss
threshold      the rule by which a weight counts as zero
inspect        what a model in training has reached: density, decay budget, residual, undecided weights
finalize       exact zeros at the end of training, and a refit of the weights that are left
copies         the same zeros in moving averages and other copies of a model
alpha_path     a warm path of alphas from one run
pruning        from zeros to a smaller model: the graph, what can be removed, multiply-adds, shrink
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
