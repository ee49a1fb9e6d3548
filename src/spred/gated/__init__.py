"""The deterministic engine for networks whose inputs are gated: a linear branch and an MLP, in or out together.

network      parameters, forward pass, sensitivities, gradient: pure functions
problem      what a whole path shares: data, target, groups of inputs
penalty      the norm of a group, a ridge, or both
newton       Gauss-Newton steps, solved over samples or over parameters, whichever are fewer
minimise     one alpha on its active inputs
working_set  one alpha over all inputs, with its certificate
starts       all gates at zero, or none
path         grids of alpha
products     what a path from gates at zero cannot see: products and squares that are left over

NumPy in float64, no torch; docs/math.md, §9 has the mathematics.
"""

from spred.gated.network import ACTIVATIONS, Network
from spred.gated.path import NetworkPath, network_path
from spred.gated.problem import GatedProblem
from spred.gated.starts import PathOptions

__all__ = ["ACTIVATIONS", "GatedProblem", "Network", "NetworkPath", "PathOptions", "network_path"]
