"""What the names of packages in a function are taken for: the file has the names alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torchport.errors import Unsupported
from torchport.lambdas.constants import BUILTINS, MATH_CONSTANTS, NUMPY_CONSTANTS
from torchport.lambdas.values import CODE, Path

#: Names by which people import packages, and the packages.
MODULES = {
    "imagenet_utils": "imagenet_utils", "B": "K", "k": "K", "kb": "K",
    "tf": "tf", "tensorflow": "tf", "ktf": "tf", "K": "K", "backend": "K", "KB": "K", "keras_backend": "K",
    "keras": "keras", "tf_keras": "keras", "np": "np", "numpy": "np", "math": "math", "ops": "ops",
    "kops": "ops", "keras_ops": "ops", "activations": "keras.activations", "layers": "keras.layers",
}  # fmt: skip
#: Packages as Python calls them.
IMPORTED = {
    "tensorflow": "tf", "keras": "keras", "tf_keras": "keras", "numpy": "np", "math": "math",
    "keras_core": "keras",
}  # fmt: skip
#: What is said of them.
MEANINGS = {
    "imagenet_utils": "keras.applications.imagenet_utils",
    "tf": "tensorflow", "K": "keras.backend", "keras": "keras", "np": "numpy", "math": "math",
    "ops": "keras.ops", "keras.activations": "keras.activations", "keras.layers": "keras.layers",
}  # fmt: skip
#: Attributes that are packages themselves.
WITHIN = {
    "keras.applications.imagenet_utils": "imagenet_utils",
    "tf.keras": "keras", "keras.backend": "K", "keras.ops": "ops", "K.tf": "tf", "ops.nn": "ops",
    "ops.numpy": "ops", "ops.math": "ops", "tf.compat.v2": "tf", "keras.numpy": "ops",
}  # fmt: skip
FUNCTIONS = frozenset({*BUILTINS, "sum", "map", "isinstance", "print", "getattr", "type"})
DTYPES = frozenset(
    "float16 float32 float64 bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool complex64 "
    "complex128".split()
)


@dataclass(frozen=True)
class Packages:
    """The names of a function."""

    def name(self, name: str) -> Path:
        """What a name that the function does not define stands for. Raises Unsupported where nobody knows."""
        if name in MODULES:
            return Path(MODULES[name])
        if name in FUNCTIONS:
            return Path(f"builtins.{name}")
        raise Unsupported(f"the file does not say what {name} is", CODE)

    def imported(self, name: str) -> Path:
        """A module that an import statement in the function names."""
        top, *rest = name.split(".")
        if top not in IMPORTED:
            raise Unsupported(f"it imports {name}", CODE)
        found: Any = Path(IMPORTED[top])
        for part in rest:
            found = self.attribute(found, part)
        return found  # type: ignore[no-any-return]

    def attribute(self, owner: Path, name: str) -> Any:
        """A constant, a function or a module of a module."""
        whole = f"{owner.name}.{name}"
        if whole in WITHIN:
            return Path(WITHIN[whole])
        module = owner.name
        if module == "np" and name in NUMPY_CONSTANTS:
            return NUMPY_CONSTANTS[name]
        if module == "math" and name in MATH_CONSTANTS:
            return MATH_CONSTANTS[name]
        if module in ("tf", "tf.dtypes") and name in DTYPES:
            return name
        if whole == "tf.newaxis":
            return None
        if module.endswith("ResizeMethod"):
            return name.lower().replace("nearest_neighbor", "nearest")
        if name.startswith("_"):
            raise Unsupported(f"it asks for {whole}", CODE)
        return Path(whole)
