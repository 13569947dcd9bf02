"""The functions of Lambda layers, read from the bytes that Keras stores. Nothing of them is executed.

`stored` finds the bytes in a layer's configuration, `marshal_format` reads them, `decode` makes instructions
of them, `machine` evaluates these over the tensors of a world: that of `symbols` gives operations of a graph.
"""
