"""Own primitives: typed Python functions, or primitives with an inverse, added to a set of primitives over lists."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, get_type_hints

from nsr.errors import ConfigError
from nsr.semantics.notation import RESERVED
from nsr.semantics.primitives import PRIMITIVES, Primitive, PrimitiveSet, Type, primitive_set
from nsr.semantics.values import MISSING, Value

NAME = re.compile(r"(?!x[0-9])[a-z]\w*", re.ASCII)  # what the grammar of programs takes for a name
TAKEN = RESERVED - {"reverse"} | {"apply", "decr0", "empty", "if0", "incr"}  # have a meaning or a notation of their own
TYPES: dict[Any, Type] = {str: Type.TOKEN, int: Type.INT, tuple[str, ...]: Type.LIST, list[str]: Type.LIST}


def register_primitives(name: str, *functions: Callable[..., Any] | Primitive, base: str = "list") -> PrimitiveSet:
    """Make a set of primitives: those of another set, and own functions; from then on it is known by its name.

    A function has annotations of the types ``str`` (a token), ``tuple[str, ...]`` or ``list[str]`` (a list) and
    ``int``. Lists are passed as tuples. Where it raises an exception or returns what its annotation does not say, it is
    undefined. It must be pure: what it returns depends on its arguments alone.

    Args:
        name: of the new set; runs are saved with it and load where it is registered.
        functions: known in programs by their own names; a :class:`Primitive` is taken as it is.
        base: a set over lists.

    Raises:
        ConfigError: the base is not over lists, a name is taken or cannot be written in programs, a function has no
            name, or an annotation is missing, cannot be read or is of another type.
    """
    given = primitive_set(base)
    if given.value_type is not Type.LIST:
        raise ConfigError(f"own primitives need a base over lists, not {base!r}")
    if name in PRIMITIVES:
        raise ConfigError(f"there are primitives {name!r} already; choose another name")
    own = tuple(each if isinstance(each, Primitive) else _primitive(each) for each in functions)
    taken = {each.name for each in given.primitives}
    for each in own:
        if not NAME.fullmatch(each.name) or each.name in TAKEN:
            raise ConfigError(f"{each.name!r} cannot be the name of a primitive; choose one of lower-case letters")
        if each.name in taken:
            raise ConfigError(f"there is a primitive {each.name!r} already; rename the function")
        taken.add(each.name)
    names = ", ".join(each.name for each in own)
    made = PrimitiveSet(name, Type.LIST, (*given.primitives, *own), f"as {base}, and {names}", given.recursion)
    PRIMITIVES[name] = made
    return made


def _primitive(function: Callable[..., Any]) -> Primitive:
    """A function as a primitive without inverse."""
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        raise ConfigError(f"{function!r} has no name; define a function by def, with annotations")
    try:
        hints, parameters = get_type_hints(function), inspect.signature(function).parameters
    except Exception as error:  # of annotations that are text, which Python runs
        raise ConfigError(f"an annotation of {name!r} cannot be read: {error}") from None
    *arguments, result = (_type(hints.get(each), each, name) for each in (*parameters, "return"))
    return Primitive(name, tuple(arguments), result, _checked(function, result))


def _type(hint: Any, what: str, name: str) -> Type:
    """The type that an annotation says; ``what`` of the function of this name has it."""
    try:
        return TYPES[hint]
    except (KeyError, TypeError):  # some hints cannot be hashed
        raise ConfigError(f"{what!r} of {name!r} must be annotated as str, int, tuple[str, ...] or list[str]") from None


def _checked(function: Callable[..., Any], result: Type) -> Callable[..., Value]:
    """The function, MISSING where it raises an exception or returns a value of another type."""

    def apply(*arguments: Value) -> Value:
        try:
            value = function(*arguments)
        except Exception:
            return MISSING
        if result is Type.LIST and isinstance(value, tuple | list):
            return tuple(value) if all(isinstance(token, str) for token in value) else MISSING
        return value if type(value) is result.python else MISSING

    return apply
