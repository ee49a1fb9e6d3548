"""The stochastic engine: L1 and group penalties on any torch model, with any loss and any torch optimiser.

groups     the public penalties: which tensors, which groups, how strong, how deep
modules    parametrize, penalty, fold: the identity by autograd, the road to read
optimizer  SpredOptimizer: the same steps inside any torch optimiser, the model untouched
inspect    what a model in training has reached: sparsity, balance, decay budget, residual
finalize   exact zeros
"""
