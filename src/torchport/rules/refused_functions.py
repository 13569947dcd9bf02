"""Functions of TensorFlow that are not ported: why, and what to do instead."""

from __future__ import annotations

import re

PYTHON = "it calls a Python function, which is not in the file in a form that could be read safely"
SIZES = "how large its result is depends on the values"
LOSS = "it is a loss, not a part of a model"
MEASURE = "it is a measure of results, not a part of a model"
TEXT = "PyTorch has no tensors of text"
FILES = "it reads or writes encoded images"
GRADIENT = "torch has it without a gradient"
NONE = "torch does not have it"
DRAWS = "it draws anew at every call, from a generator that torch does not have"
INSIDE = "it is a part of a gradient, which torch computes by itself"
FREE = "the order and the signs of eigenvectors are free"
ORDER = "in which order it leaves equal parts is not said"

LAYER = "write it as a layer class of your own and give --rules"
OUTSIDE = "take it out of the model and compute it on the result"
LOADER = "take it out of the model and augment in the data loader, with torchvision.transforms.v2"
LATER = "take it out of the model, and compute it in training, with torch.nn.functional"
MASK = "multiply by a mask, or use tf.where with three arguments"

#: Names of functions, without their module -> (why, the alternative).
REFUSED_FUNCTIONS: dict[str, tuple[str, str]] = {
    name: reason
    for names, reason in {
        "cond case switch_case while_loop map_fn vectorized_map scan foldl foldr numpy_function py_function "
        "py_func recompute_grad custom_gradient grad_pass_through rnn with_space_to_batch": (PYTHON, LAYER),
        "unique unique_with_counts dynamic_partition dynamic_stitch where boolean_mask "
        "non_max_suppression non_max_suppression_with_scores non_max_suppression_padded "
        "combined_non_max_suppression non_max_suppression_overlaps generate_bounding_box_proposals "
        "collapse_repeated ctc_unique_labels difference intersection union sets.size": (SIZES, MASK),
        "ctc_loss ctc_loss_v2 compute_average_loss nce_loss "
        "sampled_softmax_loss scale_regularization_loss binary_crossentropy categorical_crossentropy "
        "sparse_categorical_crossentropy binary_focal_crossentropy categorical_focal_crossentropy "
        "ctc_batch_cost": (LOSS, LATER),
        "ssim ssim_multiscale confusion_matrix histogram_fixed_width histogram_fixed_width_bins "
        "edit_distance": (MEASURE, OUTSIDE),
        "adjust_jpeg_quality encode_jpeg encode_png decode_jpeg decode_png is_jpeg extract_jpeg_shape "
        "draw_bounding_boxes decode_and_crop_jpeg decode_bmp decode_gif decode_image": (FILES, LOADER),
        "spence expint dawsn fresnel_cos fresnel_sin betainc": (NONE, LAYER),
        "bessel_j0 bessel_j1 bessel_y0 bessel_y1 bessel_k0 bessel_k0e bessel_k1 bessel_k1e": (
            GRADIENT, LAYER,
        ),
        "eig eigh eigvals eigh_tridiagonal": (FREE, OUTSIDE),
        "isotonic_regression fractional_max_pool fractional_avg_pool sobol_sample approx_top_k": (
            NONE, OUTSIDE,
        ),
        "ctc_decode ctc_greedy_decoder ctc_beam_search_decoder ctc_beam_search_decoder_v2 "
        "ctc_label_dense_to_sparse": ("its search through the steps is not ported", OUTSIDE),
        "conv2d_backprop_input_v2 conv2d_backprop_filter_v2 depthwise_conv2d_backprop_filter "
        "depthwise_conv2d_backprop_input clip_by_global_norm global_norm": (INSIDE, LATER),
        "bitcast": ("it reads the bits of numbers, which depend on their precision", "use tf.cast"),
        "lu lu_reconstruct lu_solve lu_matrix_inverse": (
            "torch counts its pivots otherwise", "use tf.linalg.solve, tf.linalg.inv or tf.linalg.det",
        ),
    }.items()
    for name in names.split()
}  # fmt: skip


def refusal(kind: str) -> tuple[str, str]:
    """Why a function of TensorFlow is not ported, and what to do, by its whole name."""
    short = kind.rpartition(".")[2]
    if short in REFUSED_FUNCTIONS:
        return REFUSED_FUNCTIONS[short]
    if re.search(r"(^|\.)(strings|text)\.", kind):
        return TEXT, "encode the text before the model"
    if re.search("random", kind):
        return DRAWS, LAYER
    return (
        "this function of TensorFlow is not ported",
        f"use functions that `torchport rules` lists, or write a rule for {kind!r} and give --rules",
    )
