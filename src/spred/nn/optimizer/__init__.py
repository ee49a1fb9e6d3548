"""SpredOptimizer and its parts: L1 and group penalties inside any torch optimiser.

A step: gradients of the model's tensors are pulled back to the factors, with the penalty's decay; they are divided, or
learning rates scaled, so that the dense model's rate works; the base steps on the factors; their product is written
into the model. Now and then the run is checked, weights at zero may regrow, and the density is controlled.

preconditioner  why the dense model's learning rate works for factors: speed, damping, scaled learning rates
gradients       the gradients of the factors, in place at depth 2
cpu_loops       the same for single weights on a processor, as loops that numba compiles
factored        one penalised tensor and its factors: gradients, writes from outside, decay budget
regrowth        weights at zero whose mean gradient exceeds alpha grow again
density         alpha and the support follow a target density
reweight        large weights pay less of alpha, small ones more
divergence      a run that has diverged or collapsed says so, by the name of the tensor
fused_step      a step as one program of torch.compile
rewriting       changes of factors by hand: written weights split again, groups zeroed, pruned, regrown
state_dict      what a checkpoint holds, whether it fits, and loading it
wrapped         the base optimiser: its groups, options and moments, with factors in the places of tensors; its pace
optimizer       SpredOptimizer: the torch optimiser that joins them
"""
