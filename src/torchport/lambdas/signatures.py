"""Parameters of TensorFlow's functions, in their order, without `name`: how positional arguments are meant.

Source: the signatures of tensorflow 2.21, and of compat.v1 for functions that are there alone.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Parameters -> functions, by the last part of their name.
_FUNCTIONS = {
    "args*": "meshgrid",
    "diagonal": "tensor_diag",
    "features": "elu relu relu6 selu softplus softsign",
    "image": "flip_left_right flip_up_down image.transpose per_image_standardization",
    "images": (
        "grayscale_to_rgb hsv_to_rgb rgb_to_grayscale rgb_to_hsv rgb_to_yiq rgb_to_yuv yiq_to_rgb "
        "yuv_to_rgb"
    ),
    "input": (
        "angle cholesky det expm fft fft2d fft3d identity ifft ifft2d ifft3d imag rank real slogdet "
        "stop_gradient tensor_diag_part"
    ),
    "inputs": "add_n",
    "log_mel_spectrograms": "mfccs_from_log_mel_spectrograms",
    "matrix": "adjoint logdet",
    "t": "l2_loss",
    "tensor": "eigvalsh",
    "value": "zero_fraction",
    "x": (
        "abs acos acosh asin asinh atan atanh bessel_i0 bessel_i0e bessel_i1 bessel_i1e ceil conj cos "
        "cosh digamma erf erfc erfcinv erfinv exp expm1 floor invert invert_permutation is_finite is_inf "
        "is_nan is_non_decreasing is_strictly_increasing lbeta lgamma log log1p log_sigmoid logical_not "
        "ndtri negative reciprocal reciprocal_no_nan rint round rsqrt sigmoid sign sin sinh sqrt square "
        "tan tanh trace"
    ),
    "a b": "cross",
    "a conjugate": "matrix_transpose",
    "a x": "igamma igammac polygamma",
    "chol rhs": "cholesky_solve",
    "coeffs x": "polyval",
    "equation inputs*": "einsum",
    "features alpha": "leaky_relu",
    "features approximate": "gelu",
    "features axis": "crelu",
    "features beta": "silu swish",
    "image central_fraction": "central_crop",
    "image delta": "adjust_brightness adjust_hue",
    "image k": "rot90",
    "image saturation_factor": "adjust_saturation",
    "images contrast_factor": "adjust_contrast",
    "input adjoint": "inv",
    "input axis": "expand_dims squeeze",
    "input full_matrices": "qr",
    "input multiples": "tile",
    "input out_type": "shape size",
    "input shape": "broadcast_to",
    "input_tensor fft_length": "irfft rfft",
    "logits axis": "log_softmax softmax",
    "real imag": "complex",
    "scalar x": "scalar_mul",
    "signal frame_step": "overlap_and_add",
    "tensor axis": "reverse",
    "tensor message": "check_numerics",
    "tensor shape": "reshape",
    "value dtype": "saturate_cast",
    "values axis": "concat stack",
    "x axes": "fftshift ifftshift",
    "x dtype": "cast",
    "x q": "zeta",
    "x shape": "ensure_shape",
    "x y": (
        "add bitwise_and bitwise_or bitwise_xor div divide divide_no_nan equal floor_div floordiv "
        "floormod greater greater_equal left_shift less less_equal logical_and logical_or logical_xor "
        "maximum minimum mod multiply multiply_no_nan not_equal pow realdiv right_shift "
        "squared_difference subtract truediv truncatediv truncatemod xdivy xlog1py xlogy"
    ),
    "x1 x2": "nextafter",
    "y x": "atan2",
    "a b axes": "tensordot",
    "a perm conjugate": "transpose",
    "a rcond validate_args": "pinv",
    "a tol validate_args": "matrix_rank",
    "condition x y": "where where_v2",
    "data segment_ids num_segments": (
        "unsorted_segment_max unsorted_segment_min unsorted_segment_prod unsorted_segment_sum"
    ),
    "dims value layout": "fill",
    "image dtype saturate": "convert_image_dtype",
    "image gamma gain": "adjust_gamma",
    "image target_height target_width": "resize_with_crop_or_pad",
    "images size align_corners": "resize_area",
    "input axis output_type": "argmax argmin",
    "input block_shape crops": "batch_to_space_nd",
    "input block_shape paddings": "space_to_batch_nd",
    "input block_size data_format": "depth_to_space space_to_depth",
    "input dtype layout": "ones_like zeros_like",
    "input num_lower num_upper": "band_part",
    "input repeats axis": "repeat",
    "input shift axis": "roll",
    "input_ begin size": "slice",
    "input_tensor axis keepdims": (
        "reduce_all reduce_any reduce_euclidean_norm reduce_logsumexp reduce_max reduce_mean reduce_min "
        "reduce_prod reduce_std reduce_sum reduce_variance"
    ),
    "inputs shape tensor_dtype": "accumulate_n",
    "lengths maxlen dtype": "sequence_mask",
    "matrix rhs adjoint": "solve",
    "params ids max_norm": "embedding_lookup",
    "shape dtype layout": "ones zeros",
    "t clip_norm axes": "clip_by_norm",
    "t clip_value_min clip_value_max": "clip_by_value",
    "targets predictions k": "in_top_k",
    "tensor full_matrices compute_uv": "svd",
    "tensor indices updates": "tensor_scatter_nd_update",
    "tensor mask axis": "boolean_mask",
    "tensor ord axis": "normalize",
    "value bias data_format": "bias_add",
    "value dtype dtype_hint": "convert_to_tensor",
    "value num axis": "unstack",
    "values axis direction": "sort",
    "images size align_corners half_pixel_centers": (
        "resize_bicubic resize_bilinear resize_nearest_neighbor"
    ),
    "indices updates shape bad_indices_policy": "scatter_nd",
    "input axis keepdims dtype": "count_nonzero",
    "input diagonal k align": "set_diag",
    "input k padding_value align": "diag_part",
    "input k sorted index_type": "top_k",
    "input seq_lengths seq_axis batch_axis": "reverse_sequence",
    "matrix rhs lower adjoint": "triangular_solve",
    "num_rows num_columns batch_shape dtype": "eye",
    "params indices batch_dims bad_indices_policy": "gather_nd",
    "sorted_sequence values side out_type": "searchsorted",
    "start limit delta dtype": "range",
    "start stop num axis": "linspace",
    "tensor indices updates bad_indices_policy": "tensor_scatter_nd_add tensor_scatter_nd_sub",
    "tensor ord axis keepdims": "norm",
    "tensor paddings mode constant_values": "pad",
    "value num_or_size_splits axis num": "split",
    "values axis direction stable": "argsort",
    "x axis epsilon dim": "l2_normalize",
    "x axis exclusive reverse": "cumprod cumsum cumulative_logsumexp",
    "x rate noise_shape seed": "dropout",
    "image offset_height offset_width target_height target_width": (
        "crop_to_bounding_box pad_to_bounding_box"
    ),
    "image target_height target_width method antialias": "resize_with_pad",
    "images size method align_corners preserve_aspect_ratio": "resize_images",
    "images size method preserve_aspect_ratio antialias": "resize",
    "images sizes strides rates padding": "extract_patches",
    "input depth_radius bias alpha beta": "local_response_normalization",
    "input ksize strides padding data_format": (
        "avg_pool avg_pool1d avg_pool2d avg_pool3d max_pool max_pool1d max_pool2d max_pool3d"
    ),
    "input type n axis norm": "dct idct",
    "params indices validate_indices axis batch_dims": "gather",
    "shape mean stddev dtype seed": "normal truncated_normal",
    "shape minval maxval dtype seed": "uniform",
    "diagonal k num_rows num_cols padding_value align": "diag",
    "image boxes box_indices crop_size method extrapolation_value": "crop_and_resize",
    "indices depth on_value off_value axis dtype": "one_hot",
    "input filter strides padding data_format dilations": "depthwise_conv2d",
    "input filters stride padding data_format dilations": "conv1d",
    "input filters strides padding data_format dilations": "conv2d conv3d convolution",
    "signal frame_length frame_step pad_end pad_value axis": "frame",
    "signals frame_length frame_step fft_length window_fn pad_end": "stft",
    "x mean variance offset scale variance_epsilon": "batch_normalization",
    "input depthwise_filter pointwise_filter strides padding data_format dilations": "separable_conv2d",
    "input filters output_shape strides padding data_format dilations": (
        "conv1d_transpose conv2d_transpose conv3d_transpose conv_transpose"
    ),
    "input ksize strides padding data_format output_dtype include_batch_in_index": "max_pool_with_argmax",
    "input window_shape pooling_type strides padding data_format dilations": "pool",
    "x scale offset mean variance epsilon data_format is_training exponential_avg_factor": (
        "fused_batch_norm"
    ),
    "input_ begin end strides begin_mask end_mask ellipsis_mask new_axis_mask shrink_axis_mask var": (
        "strided_slice"
    ),
    (
        "a b transpose_a transpose_b adjoint_a adjoint_b a_is_sparse b_is_sparse output_type grad_a "
        "grad_b"
    ): (
        "matmul"
    ),
}  # fmt: skip

PARAMETERS: Mapping[str, tuple[str, ...]] = {
    name: tuple(parameters.split()) for parameters, names in _FUNCTIONS.items() for name in names.split()
}
