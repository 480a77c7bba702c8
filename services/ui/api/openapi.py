"""The OpenAPI document of the API, made from what each handler says of itself (`describe`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from litestar.handlers import HTTPRouteHandler
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.ui.api.shapes import ListOf, ProblemOut

PREFIX = "/api/v1"
VERSION = "1"
_KEY = "describe"
_PARAMETER = re.compile(r"{(\w+):\w+}")
_REFERENCES = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True)
class Described:
    """What a handler takes and answers. `many`: a list of `answer`. No answer: an empty body.

    `plain`: who accepts only plain text gets that.
    """

    text: str
    role: str = "viewer"
    body: type[BaseModel] | None = None
    params: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    many: bool = False
    plain: bool = False
    status: int = 200


def describe(text: str, **about: Any) -> dict[str, Any]:
    """Return the `opt` of a handler: `@get(path, opt=describe("Lists hosts", answer=HostOut))`."""
    return {_KEY: Described(text, **about)}


def document(handlers: Iterable[HTTPRouteHandler]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the handlers that describe themselves."""
    described = [(one, one.opt[_KEY]) for one in handlers if _KEY in one.opt]
    models: set[type[BaseModel]] = {ProblemOut}
    for _, about in described:
        models |= {model for model in (about.body, _answer_model(about)) if model is not None}
    ordered = sorted(models, key=lambda model: model.__name__)
    names, schemas = models_json_schema(
        [(model, _mode(model)) for model in ordered], ref_template=_REFERENCES
    )
    references = {model: reference["$ref"] for (model, _), reference in names.items()}
    components = dict(schemas.get("$defs", {}))
    for _, about in described:
        components |= _params_schema(about.params).get("$defs", {})
    paths: dict[str, Any] = {}
    for handler, about in described:
        path = _PARAMETER.sub(r"{\1}", PREFIX + min(handler.paths))
        for method in sorted(handler.http_methods):
            paths.setdefault(path, {})[method.lower()] = _operation(
                handler, path, about, references
            )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Dormice", "version": VERSION, "description": _INTRODUCTION},
        "security": [{"token": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


_INTRODUCTION = (
    "Times are RFC 3339 UTC. Lists answer {items, next} and take limit, cursor, sort. Errors are "
    "RFC 9457 problems. A change is answered once it is stored; the header Dormice-Read-Model says "
    "whether lists show it already."
)


def _mode(model: type[BaseModel]) -> Any:
    return "serialization" if model.__module__.endswith("shapes") else "validation"


def _answer_model(about: Described) -> type[BaseModel] | None:
    if about.answer is None or not about.many:
        return about.answer
    return ListOf[about.answer]  # type: ignore[name-defined]


def _operation(
    handler: HTTPRouteHandler, path: str, about: Described, references: dict[Any, str]
) -> dict[str, Any]:
    model = _answer_model(about)
    good: dict[str, Any] = {"description": "done"}
    if model is not None:
        good["content"] = {"application/json": {"schema": {"$ref": references[model]}}}
    if about.plain:
        good["content"]["text/plain"] = {"schema": {"type": "string"}}
    operation: dict[str, Any] = {
        "operationId": handler.handler_name,
        "summary": about.text,
        "description": f"Needs the role {about.role}.",
        "parameters": [*_path_parameters(path), *_query_parameters(about.params)],
        "responses": {str(about.status): good, **_problems(path, about, references[ProblemOut])},
    }
    if about.body is not None:
        schema = {"schema": {"$ref": references[about.body]}}
        needed = bool(about.body.model_json_schema().get("required"))
        operation["requestBody"] = {"required": needed, "content": {"application/json": schema}}
    return operation


def _problems(path: str, about: Described, reference: str) -> dict[str, Any]:
    """Return every status with which a problem is answered, and what it means."""
    meant = {"401": "no API token, or none of ours", "503": "a part that is needed is away"}
    if about.role != "viewer":
        meant |= {"403": "the token's role is not enough", "409": "not as things are now"}
    if _path_parameters(path):
        meant["404"] = "there is no such thing"
    if about.params is not None or about.body is not None:
        meant["422"] = "a value is not what is asked for"
    if about.body is not None:
        meant |= {"400": "not JSON", "413": "more than 1 MiB", "415": "another type than JSON"}
    content = {"application/problem+json": {"schema": {"$ref": reference}}}
    return {
        status: {"description": words, "content": content}
        for status, words in sorted(meant.items())
    }


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(params: type[BaseModel] | None) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, "schema": _never_null(schema)}
        for name, schema in _params_schema(params).get("properties", {}).items()
    ]


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter that may be left out: an address cannot say null."""
    if "anyOf" not in schema:
        return schema
    (said,) = (one for one in schema["anyOf"] if one.get("type") != "null")
    kept = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**kept, **said}


def _params_schema(params: type[BaseModel] | None) -> dict[str, Any]:
    return {} if params is None else params.model_json_schema(ref_template=_REFERENCES)
