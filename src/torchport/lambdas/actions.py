"""What the instructions do with the variables and the stack of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torchport.errors import Unsupported
from torchport.lambdas import constants
from torchport.lambdas.code import Code, Function
from torchport.lambdas.frame import Frame
from torchport.lambdas.machine import NULL, Null
from torchport.lambdas.opcodes import COMPARISONS
from torchport.lambdas.values import CODE, Cell, Loop, Path

Action = Callable[[Frame, int], None]
ACTIONS: dict[str, Action] = {}


def action(*names: str) -> Callable[[Action], Action]:
    """Enters what an instruction does."""

    def enter(function: Action) -> Action:
        ACTIONS.update(dict.fromkeys(names, function))
        return function

    return enter


# The stack


@action("POP_TOP", "POP_ITER")
def pop(frame: Frame, argument: int) -> None:
    frame.pop()


@action("PUSH_NULL")
def push_null(frame: Frame, argument: int) -> None:
    frame.push(NULL)


@action("ROT_N")
def rotate(frame: Frame, count: int) -> None:
    """The last value goes below the others of so many."""
    frame.push(*(found := frame.pops(count))[-1:], *found[:-1])


@action("ROT_TWO")
def rotate_two(frame: Frame, argument: int) -> None:
    rotate(frame, 2)


@action("ROT_THREE")
def rotate_three(frame: Frame, argument: int) -> None:
    rotate(frame, 3)


@action("ROT_FOUR")
def rotate_four(frame: Frame, argument: int) -> None:
    rotate(frame, 4)


@action("DUP_TOP")
def duplicate(frame: Frame, argument: int) -> None:
    frame.push(frame.stack[-1])


@action("DUP_TOP_TWO")
def duplicate_two(frame: Frame, argument: int) -> None:
    frame.push(*frame.stack[-2:])


@action("COPY")
def copy(frame: Frame, argument: int) -> None:
    if argument < 1:
        raise IndexError
    frame.push(frame.stack[-argument])


@action("SWAP")
def swap(frame: Frame, argument: int) -> None:
    if argument < 1:
        raise IndexError
    stack = frame.stack
    stack[-1], stack[-argument] = stack[-argument], stack[-1]


@action("RETURN_VALUE")
def return_value(frame: Frame, argument: int) -> None:
    frame.result, frame.is_done = frame.pop(), True


@action("RETURN_CONST")
def return_const(frame: Frame, argument: int) -> None:
    frame.result, frame.is_done = frame.code.constants[argument], True


# Variables


@action("LOAD_CONST")
def load_const(frame: Frame, argument: int) -> None:
    frame.push(frame.code.constants[argument])


@action("LOAD_SMALL_INT")
def load_small_int(frame: Frame, argument: int) -> None:
    frame.push(argument)


@action("LOAD_COMMON_CONSTANT")
def load_common_constant(frame: Frame, argument: int) -> None:
    known = {2: "tuple", 3: "all", 4: "any"}
    frame.push(Path(f"builtins.{known.get(argument, 'an error')}"))


@action("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW")
def load_fast(frame: Frame, argument: int) -> None:
    name = frame.local(argument)
    frame.push(frame.cells[name] if name in frame.cells else frame.load(name))


@action("LOAD_FAST_AND_CLEAR")
def load_fast_and_clear(frame: Frame, argument: int) -> None:
    """What a comprehension's variable was outside of it."""
    frame.push(frame.variables.pop(frame.local(argument), NULL))


@action("LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW")
def load_fast_twice(frame: Frame, argument: int) -> None:
    load_fast(frame, argument >> 4)
    load_fast(frame, argument & 15)


@action("STORE_FAST")
def store_fast(frame: Frame, argument: int) -> None:
    name, value = frame.local(argument), frame.pop()
    if isinstance(value, Null):
        frame.variables.pop(name, None)
    else:
        frame.variables[name] = value


@action("STORE_FAST_LOAD_FAST")
def store_fast_load_fast(frame: Frame, argument: int) -> None:
    store_fast(frame, argument >> 4)
    load_fast(frame, argument & 15)


@action("STORE_FAST_STORE_FAST")
def store_fast_twice(frame: Frame, argument: int) -> None:
    store_fast(frame, argument >> 4)
    store_fast(frame, argument & 15)


@action("DELETE_FAST")
def delete_fast(frame: Frame, argument: int) -> None:
    del frame.variables[frame.local(argument)]


@action("LOAD_CLOSURE")
def load_closure(frame: Frame, argument: int) -> None:
    frame.push(frame.shared(argument))


@action("LOAD_DEREF")
def load_deref(frame: Frame, argument: int) -> None:
    cell = frame.shared(argument)
    if not cell.is_full:
        raise Unsupported("an outer variable has no value", CODE)
    frame.push(cell.content)


@action("STORE_DEREF")
def store_deref(frame: Frame, argument: int) -> None:
    cell = frame.shared(argument)
    cell.content, cell.is_full = frame.pop(), True


@action("LOAD_GLOBAL", "LOAD_NAME")
def load_global(frame: Frame, argument: int) -> None:
    version = frame.machine.version
    if version < (3, 11):
        frame.push(frame.global_(frame.code.names[argument]))
        return
    found = frame.global_(frame.code.names[argument >> 1])
    pair = [NULL, found] if version < (3, 13) else [found, NULL]
    frame.push(*(pair if argument & 1 else [found]))


@action("LOAD_ATTR")
def load_attr(frame: Frame, argument: int) -> None:
    version = frame.machine.version
    number = argument >> 1 if version >= (3, 12) else argument
    found = frame.machine.attribute(frame.pop(), frame.code.names[number])
    pair = [NULL, found] if version < (3, 13) else [found, NULL]
    frame.push(*(pair if version >= (3, 12) and argument & 1 else [found]))


@action("LOAD_METHOD")
def load_method(frame: Frame, argument: int) -> None:
    frame.push(NULL, frame.machine.attribute(frame.pop(), frame.code.names[argument]))


@action("IMPORT_NAME")
def import_name(frame: Frame, argument: int) -> None:
    level, names = frame.pops(2)
    name = frame.code.names[argument]
    if level:
        raise Unsupported(f"it imports {name} of its own package", CODE)
    frame.push(frame.machine.packages.imported(name if names else name.partition(".")[0]))
    if not names:  # that there is such a module
        frame.machine.packages.imported(name)


@action("IMPORT_FROM")
def import_from(frame: Frame, argument: int) -> None:
    frame.push(frame.machine.attribute(frame.stack[-1], frame.code.names[argument]))


# Tests and loops


@action("COMPARE_OP")
def compare(frame: Frame, argument: int) -> None:
    version = frame.machine.version
    number = argument >> 5 if version >= (3, 13) else argument >> 4 if version == (3, 12) else argument
    left, right = frame.pops(2)
    frame.push(frame.machine.binary(COMPARISONS[number], left, right))


@action("IS_OP")
def is_op(frame: Frame, argument: int) -> None:
    left, right = frame.pops(2)
    frame.push(frame.machine.binary("is not" if argument else "is", left, right))


@action("CONTAINS_OP")
def contains_op(frame: Frame, argument: int) -> None:
    left, right = frame.pops(2)
    frame.push(frame.machine.binary("not in" if argument else "in", left, right))


@action("GET_ITER")
def get_iter(frame: Frame, argument: int) -> None:
    value = frame.pop()
    if frame.machine.world.is_tensor(value):
        raise Unsupported("it goes through a tensor", "use tf.unstack")
    if isinstance(value, list):  # which may grow on the way
        frame.push(Loop(iter(value)))
        return
    frame.push(value if isinstance(value, Loop) else Loop(iter(constants.items(value))))


@action("UNPACK_SEQUENCE")
def unpack(frame: Frame, count: int) -> None:
    value = frame.pop()
    if frame.machine.world.is_tensor(value):
        raise Unsupported("it takes a tensor apart", "use tf.unstack")
    found = constants.items(value)
    if len(found) != count:
        raise Unsupported(f"it takes {count} values of {len(found)}", CODE)
    frame.push(*reversed(found))


@action("UNPACK_EX")
def unpack_ex(frame: Frame, argument: int) -> None:
    before, after = argument & 255, argument >> 8
    found = constants.items(frame.pop())
    if len(found) < before + after:
        raise Unsupported("it takes more values than there are", CODE)
    cut = len(found) - after
    frame.push(*reversed([*found[:before], found[before:cut], *found[cut:]]))


# Lists and the like


@action("BUILD_TUPLE")
def build_tuple(frame: Frame, count: int) -> None:
    frame.push(tuple(frame.pops(count)))


@action("BUILD_LIST")
def build_list(frame: Frame, count: int) -> None:
    frame.push(frame.pops(count))


@action("BUILD_SET")
def build_set(frame: Frame, count: int) -> None:
    frame.push(set(frame.pops(count)))


@action("BUILD_MAP")
def build_map(frame: Frame, count: int) -> None:
    found = frame.pops(2 * count)
    frame.push(dict(zip(found[::2], found[1::2], strict=True)))


@action("BUILD_CONST_KEY_MAP")
def build_const_key_map(frame: Frame, count: int) -> None:
    keys = frame.pop()
    frame.push(dict(zip(keys, frame.pops(count), strict=True)))


@action("BUILD_SLICE")
def build_slice(frame: Frame, count: int) -> None:
    frame.push(slice(*frame.pops(count)))


@action("BINARY_SLICE")
def binary_slice(frame: Frame, argument: int) -> None:
    value, start, stop = frame.pops(3)
    frame.push(frame.machine.binary("[]", value, slice(start, stop)))


@action("LIST_APPEND")
def list_append(frame: Frame, argument: int) -> None:
    value = frame.pop()
    grown(frame.stack[-argument], list).append(value)


@action("SET_ADD")
def set_add(frame: Frame, argument: int) -> None:
    value = frame.pop()
    grown(frame.stack[-argument], set).add(value)


@action("MAP_ADD")
def map_add(frame: Frame, argument: int) -> None:
    first, second = frame.pops(2)
    key, value = (second, first) if frame.machine.version < (3, 8) else (first, second)
    grown(frame.stack[-argument], dict)[key] = value


@action("LIST_EXTEND")
def list_extend(frame: Frame, argument: int) -> None:
    values = constants.items(frame.pop())
    grown(frame.stack[-argument], list).extend(values)


@action("SET_UPDATE")
def set_update(frame: Frame, argument: int) -> None:
    values = constants.items(frame.pop())
    grown(frame.stack[-argument], set).update(values)


@action("DICT_UPDATE", "DICT_MERGE")
def dict_update(frame: Frame, argument: int) -> None:
    values = mapping(frame.pop())
    grown(frame.stack[-argument], dict).update(values)


@action("LIST_TO_TUPLE")
def list_to_tuple(frame: Frame, argument: int) -> None:
    frame.push(tuple(grown(frame.pop(), list)))


@action("CALL_INTRINSIC_1")
def intrinsic(frame: Frame, argument: int) -> None:
    if argument == 5:
        frame.push(frame.unary("+", frame.pop()))
    elif argument == 6:
        list_to_tuple(frame, 0)
    else:
        raise Unsupported("an instruction that is not read", CODE)


@action("BUILD_LIST_UNPACK")
def build_list_unpack(frame: Frame, count: int) -> None:
    frame.push([it for part in frame.pops(count) for it in constants.items(part)])


@action("BUILD_TUPLE_UNPACK", "BUILD_TUPLE_UNPACK_WITH_CALL")
def build_tuple_unpack(frame: Frame, count: int) -> None:
    build_list_unpack(frame, count)
    list_to_tuple(frame, 0)


@action("BUILD_MAP_UNPACK", "BUILD_MAP_UNPACK_WITH_CALL")
def build_map_unpack(frame: Frame, count: int) -> None:
    parts = frame.pops(count & 255)
    frame.push({key: value for part in parts for key, value in mapping(part).items()})


@action("STORE_SUBSCR")
def store_subscr(frame: Frame, argument: int) -> None:
    value, owner, key = frame.pops(3)
    if not isinstance(owner, (list, dict)) or not constants.is_plain(key):
        raise Unsupported("it assigns a part of a value", "use tf.concat or tf.where")
    owner[key] = value
    constants.check(len(owner))


def grown(value: Any, kind: type) -> Any:
    """A list or the like that becomes longer, if it may."""
    if type(value) is not kind:
        raise TypeError
    found: Any = value
    constants.check(len(found))
    return found


def mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


# Functions


@action("MAKE_FUNCTION")
def make_function(frame: Frame, flags: int) -> None:
    version = frame.machine.version
    if version < (3, 11):
        frame.pop()  # its name
    code = frame.pop()
    if version == (3, 5):
        count, only = flags & 255, flags >> 8 & 255
        pairs = frame.pops(2 * only)
        made = function(code, tuple(frame.pops(count)), dict(zip(pairs[::2], pairs[1::2], strict=True)))
        frame.push(made)
        return
    free = frame.pop() if flags & 8 else ()
    if flags & 4:
        frame.pop()  # annotations
    only = frame.pop() if flags & 2 else {}
    frame.push(function(code, frame.pop() if flags & 1 else (), only, free))


@action("MAKE_CLOSURE")
def make_closure(frame: Frame, flags: int) -> None:
    """That of Python 3.5 with outer variables."""
    free = frame.stack.pop(-3)
    make_function(frame, flags)
    made = frame.pop()
    frame.push(function(made.code, made.defaults, made.keyword_defaults, free))


@action("SET_FUNCTION_ATTRIBUTE")
def set_function_attribute(frame: Frame, flag: int) -> None:
    value, made = frame.pops(2)
    if not isinstance(made, Function):
        raise TypeError
    if flag == 8:
        made = function(made.code, made.defaults, made.keyword_defaults, value)
    elif flag in (1, 2):
        defaults = value if flag == 1 else made.defaults
        only = value if flag == 2 else made.keyword_defaults
        made = Function(made.code, defaults, only, made.free)
    frame.push(made)


def function(
    code: Any, defaults: tuple[Any, ...] = (), only: Mapping[str, Any] | None = None, free: Any = ()
) -> Function:
    """An inner function. `free`: the cells of its outer variables, in their order."""
    if not isinstance(code, Code) or not all(isinstance(it, Cell) for it in free):
        raise TypeError
    outer = dict(zip(code.free, free, strict=True)) if free else {}  # since 3.13 they are set later
    return Function(code, tuple(defaults), mapping(only or {}), outer)


@action("CALL_FUNCTION")
def call_function(frame: Frame, argument: int) -> None:
    if frame.machine.version > (3, 5):
        args = frame.pops(argument)
        frame.invoke(frame.pop(), args, {})
        return
    pairs = frame.pops(2 * (argument >> 8 & 255))
    args = frame.pops(argument & 255)
    frame.invoke(frame.pop(), args, dict(zip(pairs[::2], pairs[1::2], strict=True)))


@action("CALL_FUNCTION_VAR", "CALL_FUNCTION_VAR_KW")
def call_function_var(frame: Frame, argument: int) -> None:
    raise Unsupported("it calls with * or ** in Python 3.5", CODE)


@action("CALL_FUNCTION_KW")
def call_function_kw(frame: Frame, argument: int) -> None:
    names = frame.pop()
    if frame.machine.version == (3, 5) or len(names) > argument:
        raise Unsupported("it calls with **", CODE)
    values = frame.pops(argument)
    cut = argument - len(names)
    frame.invoke(frame.pop(), values[:cut], dict(zip(names, values[cut:], strict=True)))


@action("CALL_METHOD")
def call_method(frame: Frame, argument: int) -> None:
    args = frame.pops(argument)
    _, made = frame.pops(2)
    frame.invoke(made, args, {})


@action("KW_NAMES")
def kw_names(frame: Frame, argument: int) -> None:
    frame.keywords = tuple(frame.code.constants[argument])


@action("CALL")
def call(frame: Frame, argument: int) -> None:
    names, frame.keywords = frame.keywords, ()
    frame.call(argument, names)


@action("CALL_KW")
def call_kw(frame: Frame, argument: int) -> None:
    frame.call(argument, tuple(frame.pop()))


@action("CALL_FUNCTION_EX")
def call_function_ex(frame: Frame, flags: int) -> None:
    version = frame.machine.version
    kwargs: Any = frame.pop() if flags & 1 or version >= (3, 14) else {}
    args = constants.items(frame.pop())
    made = frame.pop()
    if version >= (3, 13):
        made = frame.pop()
    elif version >= (3, 11):
        frame.pop()
    frame.invoke(made, args, {} if isinstance(kwargs, Null) else mapping(kwargs))
