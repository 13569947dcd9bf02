"""The user's module with every call, operator and index of its functions told to a recorder; else as it is.

x = layers.Dense(width * 2)(x)    ->    x = _seen(site, _seen(site, layers.Dense, _value(site, width * 2)), x)
"""

from __future__ import annotations

import ast

from torchport.source.sites import SourceFile, site

#: Functions that look at where they are called from.
LEFT = frozenset({"super", "slice", "locals", "globals", "vars", "eval", "exec", "print"})
SEEN, VALUE, UNIT = "_torchport_seen", "_torchport_value", "_torchport_unit"
OPERATOR, TURN = "_torchport_operator", "_torchport_turn"
#: Decorators that change how a function runs, not what it computes.
DROPPED = frozenset({"function", "do_not_convert", "register_keras_serializable"})


#: What Python's operators are in the module `operator`.
OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.FloorDiv: "floordiv",
    ast.Mod: "mod", ast.Pow: "pow", ast.MatMult: "matmul", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt",
    ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne", ast.BitAnd: "and_", ast.BitOr: "or_",
    ast.BitXor: "xor", ast.LShift: "lshift", ast.RShift: "rshift",
}  # fmt: skip


def index(node: ast.expr) -> ast.expr:
    """An index as an expression: slices as calls of `slice`."""
    if isinstance(node, ast.Slice):
        ends = [it or ast.Constant(None) for it in (node.lower, node.upper, node.step)]
        return ast.copy_location(ast.Call(ast.Name("slice", ast.Load()), ends, []), node)
    if isinstance(node, ast.Tuple):
        return ast.copy_location(ast.Tuple([index(it) for it in node.elts], ast.Load()), node)
    return node


class Instrument(ast.NodeTransformer):
    """Calls that tell what they were given and what they gave."""

    def __init__(self) -> None:
        self.path: list[str] = []

    def key(self, node: ast.AST) -> ast.expr:
        return ast.Tuple([ast.Constant(it) for it in site(node)], ast.Load())

    def definition(self, node: ast.FunctionDef | ast.ClassDef) -> ast.AST:
        self.path.append(node.name)
        for it in node.body:
            index = node.body.index(it)
            node.body[index] = self.visit(it)
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = [it for it in node.decorator_list if last_name(it) not in DROPPED]
            name = ast.Constant(".".join(self.path))
            node.decorator_list.append(ast.Call(ast.Name(UNIT, ast.Load()), [name], []))
        self.path.pop()
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self.definition(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list = [it for it in node.decorator_list if last_name(it) not in DROPPED]
        return self.definition(node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        key = self.key(node)
        self.generic_visit(node)
        if not self.path or isinstance(node.func, ast.Name) and node.func.id in LEFT:
            return node
        made = ast.Call(ast.Name(SEEN, ast.Load()), [key, node.func, *node.args], node.keywords)
        return ast.copy_location(made, node)

    def value(self, node: ast.expr) -> ast.AST:
        key = self.key(node)
        self.generic_visit(node)
        if not self.path:
            return node
        return ast.copy_location(ast.Call(ast.Name(VALUE, ast.Load()), [key, node], []), node)

    def loop(self, node: ast.For | ast.While) -> ast.AST:
        """A loop that asks at each turn whether it may go on."""
        self.generic_visit(node)
        if self.path:
            node.body.insert(0, ast.copy_location(ast.Expr(turn()), node.body[0]))
        return node

    visit_For = visit_While = loop

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        if self.path:
            node.ifs.insert(0, turn())
        return node

    visit_UnaryOp = visit_BoolOp = visit_IfExp = value

    def operation(self, node: ast.expr, name: str, left: ast.expr, right: ast.expr) -> ast.AST:
        """`a + b` as a call of operator.add that tells of both."""
        key = self.key(node)
        operands = [self.visit(left), self.visit(right)]
        made = ast.Call(ast.Name(OPERATOR, ast.Load()), [key, ast.Constant(name), *operands], [])
        return ast.copy_location(made, node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if not self.path:
            return self.generic_visit(node)
        return self.operation(node, OPERATORS[type(node.op)], node.left, node.right)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        """`x -= y` of a name as `x = x - y`: tensors are not changed in place."""
        if not self.path or not isinstance(node.target, (ast.Name, ast.Attribute)):
            return self.generic_visit(node)
        load = ast.parse(ast.unparse(node.target), mode="eval").body
        key, value = self.key(node), self.visit(node.value)
        operands = [ast.copy_location(load, node.target), value]
        name = ast.Constant(f"i{OPERATORS[type(node.op)]}".replace("_", ""))
        made = ast.Call(ast.Name(OPERATOR, ast.Load()), [key, name, *operands], [])
        return ast.copy_location(ast.Assign([node.target], made), node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        if not self.path or len(node.ops) > 1 or type(node.ops[0]) not in OPERATORS:
            return self.value(node)
        return self.operation(node, OPERATORS[type(node.ops[0])], node.left, node.comparators[0])

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if not isinstance(node.ctx, ast.Load) or not self.path:
            return self.generic_visit(node)
        return self.operation(node, "getitem", node.value, index(node.slice))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        key, test = self.key(node), node.test
        self.generic_visit(node)
        if self.path:
            truth = ast.Call(ast.Name("bool", ast.Load()), [node.test], [])
            node.test = ast.copy_location(ast.Call(ast.Name(VALUE, ast.Load()), [key, truth], []), test)
        return node


def turn() -> ast.expr:
    return ast.Call(ast.Name(TURN, ast.Load()), [], [])


def last_name(node: ast.expr) -> str:
    """The last part of what a decorator is called."""
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def instrumented(source: SourceFile) -> ast.Module:
    """The tree of a file whose functions tell what they see."""
    tree = ast.parse(source.text)
    made: ast.Module = ast.fix_missing_locations(Instrument().visit(tree))
    return made
