"""Layers that are not ported: why, and what to do instead."""

from __future__ import annotations

#: In which way a batch of images is drawn is a matter of the data, not of the model.
LOADER = "take it out of the model and augment in the data loader, with torchvision.transforms.v2"
TEXT = "PyTorch has no tensors of text"
ENCODE = "encode the text before the model: keep this layer in the data pipeline"
LABELS = "it mixes images with their labels, which no module of one input can"
COLUMNS = "it reads a dictionary of raw features by feature columns, which are no tensors"
OTHER = "it runs another framework's code, which is not in the file"

#: Kind -> (why it has no exact equivalent here, the alternative).
REFUSED: dict[str, tuple[str, str]] = {
    "tensorflow_hub>KerasLayer": (
        "a layer of tensorflow_hub: what it computes is in a SavedModel beside the file",
        "convert that SavedModel, where Keras wrote it, or rebuild the network of Keras's layers",
    ),
    "Layer": ("the base class of layers computes nothing", "use keras.layers.Identity"),
    "InputSpec": ("what a layer expects, no layer", "leave it out"),
    "FlaxLayer": (OTHER, "write a rule for it, or rebuild it of Keras's layers"),
    "JaxLayer": (OTHER, "write a rule for it, or rebuild it of Keras's layers"),
    "TFSMLayer": (OTHER, "convert the model that the SavedModel was made of"),
    "TorchModuleWrapper": ("it is a PyTorch module already", "use that module itself"),
    "CutMix": (LABELS, LOADER),
    "MixUp": (LABELS, LOADER),
    **{name: (COLUMNS, "make the features before the model: convert the part of it behind this layer")
       for name in ("DenseFeatures", "SequenceFeatures")},
    **{name: ("its vocabulary changes while it trains", "use StringLookup or Embedding with the vocabulary")
       for name in ("DynamicLookup", "DynamicEmbedding")},
    **{name: ("it is a model with optimizers of its own for its parts", "build it of Dense and Add")
       for name in ("LinearModel", "WideDeepModel")},
    "AbstractRNNCell": ("the base class of cells computes nothing", "use a cell that is ported"),
    "PreprocessingLayer": ("the base class of layers computes nothing", "use keras.layers.Identity"),
    "MaxNumBoundingBoxes": ("it pads boxes, which are a dictionary beside the images", LOADER),
}  # fmt: skip

#: Kinds that have no rule since another stage takes them apart: where.
ELSEWHERE = {
    "Activation": "a rule for each function",
    "InputLayer": "an argument of forward",
    "Lambda": "the operations of its function, read from the bytes in the file",
    "StackedRNNCells": "cells of RNN",
    "SyncBatchNormalization": "BatchNormalization, synchronized",
    "Wrapper": "the layer that it wraps",
    **{
        kind: "the operations of its `call`"
        for kind in (
            "Addons>Maxout",
            *(f"Addons>Adaptive{how}Pooling{rank}D" for how in ("Average", "Max") for rank in (1, 2, 3)),
        )
    },
}

#: Layers of packages that are made of Keras's own: the file in `normalise/composed` that says how.
COMPOSED = {
    "tcn>TCN": "tcn",
    **{
        f"{package}>Transformer{half}coder": "hub"
        for package in ("keras_hub", "keras_nlp")
        for half in ("En", "De")
    },
}
COMPOSED |= dict.fromkeys(
    (
        "keras_multi_head>MultiHeadAttention", "keras_self_attention>ScaledDotProductAttention",
        "keras_self_attention>SeqSelfAttention", "keras_self_attention>SeqWeightedAttention",
        "keras_position_wise_feed_forward>FeedForward", "keras_embed_sim>EmbeddingRet",
        "keras_embed_sim>EmbeddingSim",
        *(f"keras_bert>{it}" for it in ("TokenEmbedding", "EmbeddingSimilarity", "Masked", "Extract")),
    ),
    "bert",
)  # fmt: skip
ELSEWHERE |= dict.fromkeys(COMPOSED, "the layers that it is made of")

#: What keras.layers 3.15 exports, and classes of older versions that are Keras's own too.
KERAS = frozenset(
    (
        "Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D "
        "AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add "
        "AdditiveAttention AlphaDropout Attention AugMix AutoContrast Average AveragePooling1D "
        "AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D BatchNormalization "
        "Bidirectional CategoryEncoding CenterCrop Concatenate "
        "ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose "
        "Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D Convolution1DTranspose "
        "Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping1D "
        "Cropping2D Cropping3D CutMix Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot "
        "Dropout ELU EinsumDense Embedding Equalization Flatten FlaxLayer GRU GRUCell GaussianDropout "
        "GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D "
        "GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D "
        "GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization "
        "GroupQueryAttention HashedCrossing Hashing Identity InputLayer InputSpec IntegerLookup "
        "JaxLayer LSTM LSTMCell Lambda Layer LayerNormalization LeakyReLU Masking MaxNumBoundingBoxes "
        "MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum MelSpectrogram "
        "Minimum MixUp MultiHeadAttention Multiply Normalization PReLU Permute Pipeline "
        "RMSNormalization RNN RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter "
        "RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur "
        "RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation "
        "RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom ReLU RepeatVector "
        "Rescaling Reshape Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D "
        "SeparableConv2D SeparableConvolution1D SeparableConvolution2D SimpleRNN SimpleRNNCell "
        "Softmax Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D "
        "SpectralNormalization StackedRNNCells StringLookup Subtract TFSMLayer TextVectorization "
        "TimeDistributed TorchModuleWrapper UnitNormalization UpSampling1D UpSampling2D UpSampling3D "
        "Wrapper ZeroPadding1D ZeroPadding2D ZeroPadding3D CuDNNGRU CuDNNLSTM LocallyConnected1D "
        "LocallyConnected2D Model ThresholdedReLU TFOpLambda SlicingOpLambda TensorFlowOpLayer "
        "ClassMethod InstanceMethod SyncBatchNormalization DenseFeatures RandomHeight "
        "RandomWidth SequenceFeatures DynamicLookup DynamicEmbedding LinearModel WideDeepModel "
        "AbstractRNNCell PreprocessingLayer RandomFourierFeatures "
    ).split()
)
