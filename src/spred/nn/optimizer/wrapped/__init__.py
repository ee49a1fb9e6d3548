"""The optimiser that is wrapped: what it is, what of it is shared, what stands in the places of its tensors.

wrapping  groups with factors in the places of tensors, options and moments
groups    public groups and those of the factors, exchanged for the time of a step
pace      how an optimiser's steps go with gradient and weight, and what that asks of the factors
"""
