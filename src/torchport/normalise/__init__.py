"""The same graph in plain ops: one file for each rewrite."""

from torchport.graph import Graph
from torchport.normalise.activations import split_activations
from torchport.normalise.by_place import place_arguments
from torchport.normalise.composed import compose
from torchport.normalise.directions import name_directions
from torchport.normalise.draws import note_draws
from torchport.normalise.folded import fold_steps
from torchport.normalise.functions import name_functions
from torchport.normalise.keepdims import keep_dims
from torchport.normalise.losses import leave_losses
from torchport.normalise.masks import write_masks
from torchport.normalise.modes import resolve_modes, write_modes
from torchport.normalise.operations import name_operations
from torchport.normalise.pipelines import unroll_pipelines
from torchport.normalise.spectral import show_spectral
from torchport.normalise.texts import lift_texts
from torchport.normalise.time_major import turn_steps
from torchport.normalise.tokens import name_tokens

REWRITES = (
    leave_losses, compose, place_arguments, resolve_modes, unroll_pipelines, name_directions,
    name_operations, name_functions, note_draws, lift_texts, write_masks, fold_steps, turn_steps,
    write_modes, show_spectral, split_activations, keep_dims, name_tokens,
)  # fmt: skip


def normalise(graph: Graph) -> Graph:
    """The graph after every rewrite, in order."""
    for rewrite in REWRITES:
        graph = rewrite(graph).check()
    return graph
