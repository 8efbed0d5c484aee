"""`NamedTuple` as in typing, but a type is defined in a fraction of the time: `up` defines some hundred as it starts.

Most of that time goes into compiling constructors. Here each is compiled when the first instance of its type is made.
Most types that a command imports never have one.
"""

import sys
from typing import TYPE_CHECKING

__all__ = ["NamedTuple"]

# Type checkers know typing's. From Python 3.14 on, the body of a class has its annotations in another form.
if TYPE_CHECKING or sys.version_info >= (3, 14):
    from typing import NamedTuple
else:
    from _collections import _tuplegetter  # what collections.namedtuple reads fields by

    class _Named(tuple):
        """What all named tuples can do. `_fields` has the names, `_field_defaults` the defaults by name."""

        __slots__ = ()

        @classmethod
        def _make(cls, values):
            """Return an instance with these values, one for each field."""
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"{cls.__name__} has {len(cls._fields)} fields, got {len(made)} values")
            return made

        def _replace(self, /, **values):
            """Return the same with other values for these fields."""
            made = self._make(map(values.pop, self._fields, self))
            if values:
                raise ValueError(f"{type(self).__name__} has no field {', '.join(values)}")
            return made

        def _asdict(self):
            """Return the values by field."""
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            pairs = (f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True))
            return f"{type(self).__name__}({', '.join(pairs)})"

        def __getnewargs__(self):
            return tuple(self)  # for copy and pickle

    class _Definition(type):
        """Makes a class body a named tuple: its annotations are the fields, its values their defaults."""

        def __new__(mcs, name, bases, body):
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body[field] for field in fields if field in body}
            if tuple(defaults) != fields[len(fields) - len(defaults) :]:
                raise TypeError(f"{name}: a field without a default follows one with a default")
            body.update({field: _tuplegetter(place, None) for place, field in enumerate(fields)})
            body.update(_fields=fields, _field_defaults=defaults, __match_args__=fields)
            body.update(__slots__=(), __new__=_first)
            return type(name, (*bases[1:], _Named), body)  # Generic comes first, so that X[int] is its affair

    NamedTuple = type.__new__(_Definition, "NamedTuple", (), {})

    def _first(cls, /, *values, **named):
        """Compile the constructor, put it in the place of this one, and call it."""
        defined = next(each for each in cls.__mro__ if "__new__" in each.__dict__)
        fields = "".join(f"{field}, " for field in defined._fields)
        new = eval(f"lambda _cls, {fields}: _new(_cls, ({fields}))", {"_new": tuple.__new__})  # noqa: S307 - only names
        new.__defaults__ = tuple(defined._field_defaults.values())
        new.__name__, new.__qualname__ = "__new__", f"{defined.__qualname__}.__new__"
        defined.__new__ = staticmethod(new)
        return new(cls, *values, **named)
