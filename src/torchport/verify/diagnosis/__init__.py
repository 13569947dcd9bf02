"""Why a port differs, for the first tensor that does: each guess is worked out and held against the numbers.

`localise` finds the tensor and gathers what is known around it, a `Suspect`; `cause` asks the guesses in
turn: `alternatives` (what the layer may be taken for), `readings` (what its modules are handed, and which
part of theirs is taken), `repairs` (a change to a module that makes it right), `relations` (how one array
came of another). `weights` is for tensors of the weights file.
"""
