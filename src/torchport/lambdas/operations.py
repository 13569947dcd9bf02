"""Functions of `keras.ops`: their classes, their parameters, and which of these are tensors (*).

Source: keras/src/ops of Keras 3.15; `newshape>shape` is a parameter that the class calls otherwise.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, NamedTuple


class Operation(NamedTuple):
    """A function: its class, parameters in order, defaults, those that are tensors, and options' names."""

    kind: str
    parameters: tuple[str, ...]
    defaults: Mapping[str, Any]
    tensors: frozenset[str]
    options: Mapping[str, str]


_TABLE = """
absolute Absolute *x
adaptive_average_pool AdaptiveAveragePool *inputs output_size data_format=None
adaptive_max_pool AdaptiveMaxPool *inputs output_size data_format=None
add Add *x1 *x2
affine_transform AffineTransform *images *transform interpolation='bilinear' fill_mode='constant'
    fill_value=0 data_format=None
all All *x axis=None keepdims=False
allclose AllClose *x1 *x2 rtol=1e-05 atol=1e-08 equal_nan=False
amax Amax *x axis=None keepdims=False
amin Amin *x axis=None keepdims=False
angle Angle *x
any Any *x axis=None keepdims=False
append Append *x1 *x2 axis=None
arccos Arccos *x
arccosh Arccosh *x
arcsin Arcsin *x
arcsinh Arcsinh *x
arctan Arctan *x
arctan2 Arctan2 *x1 *x2
arctanh Arctanh *x
argmax Argmax *x axis=None keepdims=False
argmin Argmin *x axis=None keepdims=False
argsort Argsort *x axis=-1
array_split ArraySplit *x indices_or_sections axis=0
average Average *x axis=None *weights=None
average_pool AveragePool *inputs pool_size strides=None padding='valid' data_format=None
batch_normalization BatchNorm *x *mean *variance axis *offset=None *scale=None epsilon=0.001
bincount Bincount *x weights=None minlength=0 sparse=False
bitwise_and BitwiseAnd *x *y
bitwise_invert BitwiseInvert *x
bitwise_left_shift BitwiseLeftShift *x *y
bitwise_not BitwiseNot *x
bitwise_or BitwiseOr *x *y
bitwise_right_shift BitwiseRightShift *x *y
bitwise_xor BitwiseXor *x *y
broadcast_to BroadcastTo *x shape
cbrt Cbrt *x
cdist CDist *x *y
ceil Ceil *x
celu Celu *x alpha=1.0
cholesky Cholesky *x upper=False
cholesky_inverse CholeskyInverse *x upper=False
clip Clip *x x_min x_max
concatenate Concatenate *xs axis=0
conjugate Conjugate *x
conv Conv *inputs *kernel strides=1 padding='valid' data_format=None dilation_rate=1
copy Copy *x
corrcoef Corrcoef *x
cos Cos *x
cosh Cosh *x
count_nonzero CountNonzero *x axis=None
crop_images CropImages *images top_cropping=None left_cropping=None bottom_cropping=None right_cropping=None
    target_height=None target_width=None data_format=None
cross Cross *x1 *x2 axisa=-1 axisb=-1 axisc=-1 axis=None
cumprod Cumprod *x axis=None dtype=None
cumsum Cumsum *x axis=None dtype=None
deg2rad Deg2rad *x
depth_to_space DepthToSpace *x block_size data_format='channels_last'
depthwise_conv DepthwiseConv *inputs *kernel strides=1 padding='valid' data_format=None dilation_rate=1
det Det *x
diag Diag *x k=0
diagflat Diagflat *x k=0
diagonal Diagonal *x offset=0 axis1=0 axis2=1
digitize Digitize *x *bins
divide Divide *x1 *x2
divide_no_nan DivideNoNan *x1 *x2
dot Dot *x1 *x2
dot_product_attention DotProductAttention *query *key *value *bias=None *mask=None *scale=None
    is_causal=False flash_attention=None attn_logits_soft_cap=None
dsplit Dsplit *x indices_or_sections
dstack Dstack *xs
elu Elu *x alpha=1.0
equal Equal *x1 *x2
erf Erf *x
erfc Erfc *x
erfinv Erfinv *x
exp Exp *x
exp2 Exp2 *x
expand_dims ExpandDims *x axis
expm1 Expm1 *x
extract_patches ExtractPatches *images size strides=None dilation_rate=1 padding='valid' data_format=None
extract_patches_3d ExtractPatches *volumes size strides=None dilation_rate=1 padding='valid'
    data_format=None
extract_sequences ExtractSequences *x sequence_length sequence_stride
fabs Fabs *x
fft FFT *x
fft2 FFT2 *x
flip Flip *x axis=None
fliplr Fliplr *x
flipud Flipud *x
floor Floor *x
floor_divide FloorDivide *x1 *x2
fmax Fmax *x1 *x2
fmin Fmin *x1 *x2
fmod Fmod *x1 *x2
fold Fold *x output_size kernel_size dilation=1 padding=0 stride=1
full_like FullLike *x *fill_value dtype=None
gaussian_blur GaussianBlur *images kernel_size=(3,3) sigma=(1.0,1.0) data_format=None
gcd Gcd *x1 *x2
gelu Gelu *x approximate=True
get_item GetItem *x *key
glu Glu *x axis=-1
greater Greater *x1 *x2
greater_equal GreaterEqual *x1 *x2
hard_shrink HardShrink *x threshold=0.5
hard_sigmoid HardSigmoid *x
hard_silu HardSilu *x
hard_tanh HardTanh *x
heaviside Heaviside *x1 *x2
hsplit Hsplit *x indices_or_sections
hstack Hstack *xs
hsv_to_rgb HSVToRGB *images data_format=None
hypot Hypot *x1 *x2
i0 I0 *x
ifft2 IFFT2 *x
imag Imag *x
in_top_k InTopK *targets *predictions k
inner Inner *x1 *x2
inv Inv *x
irfft IRFFT *x fft_length=None
isclose Isclose *x1 *x2 *rtol=1e-05 *atol=1e-08 equal_nan=False
isfinite Isfinite *x
isin IsIn *x1 *x2 assume_unique=False invert=False
isinf Isinf *x
isnan Isnan *x
isneginf Isneginf *x
isposinf Isposinf *x
isreal Isreal *x
kron Kron *x1 *x2
lcm Lcm *x1 *x2
ldexp Ldexp *x1 *x2
leaky_relu LeakyRelu *x negative_slope=0.2
left_shift LeftShift *x *y
less Less *x1 *x2
less_equal LessEqual *x1 *x2
log Log *x
log10 Log10 *x
log1p Log1p *x
log2 Log2 *x
log_sigmoid LogSigmoid *x
log_softmax LogSoftmax *x axis=-1
logaddexp Logaddexp *x1 *x2
logaddexp2 Logaddexp2 *x1 *x2
logdet Logdet *x
logical_and LogicalAnd *x1 *x2
logical_not LogicalNot *x
logical_or LogicalOr *x1 *x2
logical_xor LogicalXor *x1 *x2
logsumexp Logsumexp *x axis=None keepdims=False
lstsq Lstsq *a *b rcond=None
matmul Matmul *x1 *x2
matrix_rank MatrixRank *x tol=None
max Max *x axis=None keepdims=False initial=None
max_pool MaxPool *inputs pool_size strides=None padding='valid' data_format=None
maximum Maximum *x1 *x2
mean Mean *x axis=None keepdims=False
median Median *x axis=None keepdims=False
min Min *x axis=None keepdims=False initial=None
minimum Minimum *x1 *x2
mod Mod *x1 *x2
moments Moments *x axes keepdims=False synchronized=False
moveaxis Moveaxis *x source destination
multiply Multiply *x1 *x2
nan_to_num NanToNum *x nan=0.0 posinf=None neginf=None
nancumprod Nancumprod *x axis=None dtype=None
nancumsum Nancumsum *x axis=None dtype=None
nanmax Nanmax *x axis=None keepdims=False
nanmean Nanmean *x axis=None keepdims=False
nanmedian Nanmedian *x axis=None keepdims=False
nanmin Nanmin *x axis=None keepdims=False
nanpercentile Nanpercentile *x *q axis=None method='linear' keepdims=False
nanprod Nanprod *x axis=None keepdims=False
nanquantile Nanquantile *x *q axis=None method='linear' keepdims=False
nanstd Nanstd *x axis=None keepdims=False
nansum Nansum *x axis=None keepdims=False
nanvar Nanvar *x axis=None keepdims=False
negative Negative *x
nextafter Nextafter *x1 *x2
norm Norm *x ord=None axis=None keepdims=False
normalize Normalize *x axis=-1 order=2 epsilon=None
not_equal NotEqual *x1 *x2
one_hot OneHot *x num_classes axis=-1 dtype=None sparse=False
ones_like OnesLike *x dtype=None
outer Outer *x1 *x2
pad_images PadImages *images top_padding=None left_padding=None bottom_padding=None right_padding=None
    target_height=None target_width=None data_format=None
percentile Percentile *x *q axis=None method='linear' keepdims=False
pinv Pinv *x rcond=None
polar Polar *abs_ *angle
power Power *x1 *x2
prod Prod *x axis=None keepdims=False dtype=None
psnr PSNR *x1 *x2 max_val
ptp Ptp *x axis=None keepdims=False
qr Qr *x mode='reduced'
quantile Quantile *x *q axis=None method='linear' keepdims=False
rad2deg Rad2deg *x
ravel Ravel *x
real Real *x
reciprocal Reciprocal *x
relu Relu *x
relu6 Relu6 *x
repeat Repeat *x repeats axis=None
reshape Reshape *x newshape
resize Resize *images size interpolation='bilinear' antialias=False crop_to_aspect_ratio=False
    pad_to_aspect_ratio=False fill_mode='constant' fill_value=0.0 data_format=None
rfft RFFT *x fft_length=None
rgb_to_grayscale RGBToGrayscale *images data_format=None
rgb_to_hsv RGBToHSV *images data_format=None
right_shift RightShift *x *y
rms_normalization RMSNorm *x *scale=None axis=-1 epsilon=None
roll Roll *x shift axis=None
rot90 Rot90 *array k=1 axes=(0,1)
round Round *x decimals=0
rsqrt Rsqrt *x
scatter Scatter *indices *values shape
scatter_update ScatterUpdate *inputs *indices *updates reduction=None
searchsorted SearchSorted *sorted_sequence *values side='left'
segment_max SegmentMax *data *segment_ids num_segments=None sorted=False
segment_min SegmentMin *data *segment_ids num_segments=None sorted=False
segment_prod SegmentProd *data *segment_ids num_segments=None sorted=False
segment_sum SegmentSum *data *segment_ids num_segments=None sorted=False
select Select *condlist *choicelist *default=0
selu Selu *x
separable_conv SeparableConv *inputs *depthwise_kernel *pointwise_kernel strides=1 padding='valid'
    data_format=None dilation_rate=1
sigmoid Sigmoid *x
sign Sign *x
signbit Signbit *x
silu Silu *x
sin Sin *x
sinc Sinc *x
sinh Sinh *x
size Size *x
slice Slice *inputs *start_indices shape
slice_update SliceUpdate *inputs *start_indices *updates
slogdet Slogdet *x
sobel_edges SobelEdges *images data_format=None
soft_shrink SoftShrink *x threshold=0.5
softmax Softmax *x axis=-1
softplus Softplus *x
softsign Softsign *x
solve Solve *a *b
solve_triangular SolveTriangular *a *b lower=False
sort Sort *x axis=-1
space_to_depth SpaceToDepth *x block_size data_format='channels_last'
sparse_plus SparsePlus *x
sparse_sigmoid SparseSigmoid *x
sparsemax Sparsemax *x axis=-1
split Split *x indices_or_sections axis=0
sqrt Sqrt *x
square Square *x
squareplus Squareplus *x b=4
squeeze Squeeze *x axis=None
stack Stack *x axis=0
std Std *x axis=None keepdims=False
stft STFT *x sequence_length sequence_stride fft_length window='hann' center=True
stop_gradient StopGradient *variable
subtract Subtract *x1 *x2
sum Sum *x axis=None keepdims=False
svd SVD *x full_matrices=True compute_uv=True
swapaxes Swapaxes *x axis1 axis2
take Take *x *indices axis=None
take_along_axis TakeAlongAxis *x *indices axis=None
tan Tan *x
tanh Tanh *x
tanh_shrink TanhShrink *x
tensordot Tensordot *x1 *x2 axes=2
threshold Threshold *x threshold default_value
tile Tile *x repeats
top_k TopK *x k sorted=True
trace Trace *x offset=0 axis1=0 axis2=1
transpose Transpose *x axes=None
trapezoid Trapezoid *y x=None dx=1.0 axis=-1
tril Tril *x k=0
triu Triu *x k=0
true_divide TrueDivide *x1 *x2
trunc Trunc *x
unfold Unfold *x kernel_size dilation=1 padding=0 stride=1
unravel_index UnravelIndex *indices shape
unstack Unstack *x num=None axis=0
vander Vander *x N=None increasing=False
var Var *x axis=None keepdims=False
vdot Vdot *x1 *x2
view_as_real ViewAsReal *x
vsplit Vsplit *x indices_or_sections
vstack Vstack *xs
where Where *condition *x1=None *x2=None
zeros_like ZerosLike *x dtype=None
"""


def _operation(kind: str, words: list[str]) -> Operation:
    parameters, defaults, tensors, options = list[str](), dict[str, Any](), set[str](), dict[str, str]()
    for word in words:
        name, _, value = word.partition("=")
        name, _, option = name.partition(">")
        if name.startswith("*"):
            name = name[1:]
            tensors.add(name)
        else:
            options[name] = option or name
        if value:
            defaults[name] = ast.literal_eval(value)
        parameters.append(name)
    return Operation(f"keras.ops.{kind}", tuple(parameters), defaults, frozenset(tensors), options)


OPERATIONS: Mapping[str, Operation] = {
    name: _operation(kind, words)
    for name, kind, *words in (line.split() for line in _TABLE.replace("\n    ", " ").strip().split("\n"))
}
