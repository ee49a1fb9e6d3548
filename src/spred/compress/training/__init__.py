"""How models become sparse: what is penalised, by which method, in which loop.

targets          which tensors are penalised, and which of their weights are one group
methods          spred and its peers: what happens around a step; the refit
trainer          the one training loop: stages of epochs, learning rates, distillation
checkpoints      states of stages, from which a stopped run goes on
memory_format    channels last and bfloat16, for speed
"""
