"""Any instance of a pydantic model, made from its fields' types, and any JSON, for Hypothesis."""

from __future__ import annotations

import types
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
HALVES = st.sampled_from("\ud800\udcff\udfff")  # JSON can say half a character.
BROKEN_TEXT = st.text(st.characters() | HALVES, max_size=10)
LARGEST = 2**63 - 1
OFFSETS = st.sampled_from(
    [UTC, timezone(timedelta(hours=5, minutes=45)), timezone(-timedelta(hours=11))]
)
MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=OFFSETS)  # noqa: DTZ001


def any_json(texts: st.SearchStrategy[str] = TEXT) -> st.SearchStrategy[Any]:
    """Return what JSON can say: finite numbers only."""
    leaves = st.one_of(
        st.none(), st.booleans(), st.integers(-LARGEST, LARGEST), texts,
        st.floats(allow_nan=False, allow_infinity=False),
    )  # fmt: skip
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=8,
    )


def any_of(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Return instances of a model; fields that have a default may be left to it."""
    required, optional = {}, {}
    for name, field in model.model_fields.items():
        into = required if field.is_required() else optional
        into[name] = _values(field.annotation, field.metadata)
    fields = st.fixed_dictionaries(required, optional=optional)
    return fields.map(model.model_validate)


def _values(kind: Any, rules: Iterable[Any] = ()) -> st.SearchStrategy[Any]:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        more = [one.metadata if isinstance(one, FieldInfo) else [one] for one in parts[1:]]
        return _values(parts[0], [*rules, *(rule for some in more for rule in some)])
    if origin in (Union, types.UnionType):
        return st.one_of([_values(part, rules) for part in parts])
    if origin is Literal:
        return st.sampled_from(parts)
    if origin is not None:
        return _collection(origin, parts, rules)
    return _plain(kind, rules)


def _collection(origin: Any, parts: Any, rules: Iterable[Any]) -> st.SearchStrategy[Any]:
    if origin is dict:
        return st.dictionaries(_values(parts[0]), _values(parts[1]), max_size=3)
    if origin is tuple and parts[-1] is not Ellipsis:
        return st.tuples(*map(_values, parts))
    return st.lists(_values(parts[0]), min_size=_limit(rules, MinLen, 0), max_size=4)


def _plain(kind: Any, rules: Iterable[Any]) -> st.SearchStrategy[Any]:
    if kind is Any:
        return any_json()
    if kind in (AwareDatetime, datetime):
        return MOMENTS
    if kind is str:
        return st.text(
            st.characters(codec="utf-8"), min_size=_limit(rules, MinLen, 0),
            max_size=min(_limit(rules, MaxLen, 40), 300),
        )  # fmt: skip
    if kind is bool:
        return st.booleans()
    if kind is int:
        low = max(_limit(rules, Ge, -LARGEST), _limit(rules, Gt, -LARGEST - 1) + 1)
        high = min(_limit(rules, Le, LARGEST), _limit(rules, Lt, LARGEST + 1) - 1)
        return st.integers(low, high)
    if kind is float:
        above, below = _limit(rules, Gt, None), _limit(rules, Lt, None)
        return st.floats(
            _limit(rules, Ge, above), _limit(rules, Le, below), exclude_min=above is not None,
            exclude_max=below is not None, allow_nan=False, allow_infinity=False,
        )  # fmt: skip
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return any_of(kind)
    return st.none() if kind is types.NoneType else st.from_type(kind)


def _limit(rules: Iterable[Any], kind: type[Any], otherwise: Any) -> Any:
    """Return what a rule of this kind says; each has one field."""
    said = [next(iter(vars_of(rule))) for rule in rules if isinstance(rule, kind)]
    return said[0] if said else otherwise


def vars_of(rule: Any) -> list[Any]:
    """Return the values of a rule: `Ge(0)` is [0]."""
    return [getattr(rule, name) for name in rule.__dataclass_fields__]


def changed(
    document: dict[str, Any], values: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    """Return the document with one of its fields left out, added or replaced by any of `values`."""
    names = st.sampled_from(sorted(document)) | TEXT
    without = names.map(lambda name: {k: v for k, v in document.items() if k != name})
    replaced = st.tuples(names, values).map(lambda pair: {**document, pair[0]: pair[1]})
    return without | replaced
