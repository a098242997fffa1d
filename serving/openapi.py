"""The OpenAPI document: what may be asked, with examples. Pure.

What a chat may hold is for vLLM to say: only what the gateway itself reads is told here.
"""

from typing import Any

from pydantic.json_schema import models_json_schema

from serving.apis import CHAT, TEXT, Api
from serving.ask import COMPARE_HEADER, CONVERSATION_HEADER, MAX_ID_LENGTH, USER_HEADER
from serving.form import ComparisonForm, Form

Json = dict[str, Any]
_TOKEN = "eyJrIjoiMCIsImciOiJjaGF0Y21wbC0wMTkzIn0.c2lnbmF0dXJl"
_SAID = {  # what examples say of an answer
    "a thumb, by token": {"token": _TOKEN, "thumb": "up"},
    "a thumb, by id": {"completion_id": "chatcmpl-0193", "thumb": "down", "comment": "too long"},
    "a correction": {"completion_id": "chatcmpl-0193", "correction": "Eight minutes."},
    "an outcome": {"completion_id": "chatcmpl-0193", "outcome": {"name": "resolved", "value": 1}},
    "taken back": {"token": _TOKEN, "retract": "thumb"},
}
_BETTER = {
    "by token": {"token": _TOKEN, "winner": "a"},
    "by ids": {"completion_id": "chatcmpl-0193", "other_id": "chatcmpl-0193.1", "winner": "tie"},
}
_REFUSALS = {
    "400": "The body or a header is not as it must be.",
    "401": "No key or token was shown, or one that does not hold.",
    "403": "The key or token is not for this.",
    "404": "No model or adapter of this name is served.",
    "413": "The body is larger than what is read.",
    "422": "The verdict says nothing that can be, or the engine cannot answer this.",
    "429": "Asked too often, or too many at once; `retry-after` says when to come again.",
    "502": "The engine did not answer with an answer.",
    "503": "It cannot be answered, or stored, at the moment.",
    "504": "The engine was silent for too long.",
}


def document(name: str) -> Json:
    """`name` is the model that users ask for."""
    _, forms = models_json_schema(
        [(Form, "validation"), (ComparisonForm, "validation")],
        ref_template="#/components/schemas/{model}",
    )
    schemas = forms["$defs"] | {"Error": _ERROR, "Accepted": _ACCEPTED}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Thumbwheel", "version": "1", "description": _ABOUT},
        "paths": _paths(name),
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}, {}],
    }


def _paths(name: str) -> Json:
    messages = [{"role": "user", "content": "How do I boil an egg?"}]
    return {
        CHAT.path: {"post": _answer(name, CHAT, "messages", {"type": "array"}, messages)},
        TEXT.path: {"post": _answer(name, TEXT, "prompt", {}, "To boil an egg")},
        "/v1/feedback": {"post": _verdict("What a user says of an answer", "Form", _SAID)},
        "/v1/comparisons": {
            "post": _verdict("Which of two answers a user likes better", "ComparisonForm", _BETTER)
        },
        "/v1/models": {"get": _get("What can be asked for", "401", "403", "429")},
        "/thumbwheel.js": {"get": _script()},
        "/healthz": {"get": _get("Does the gateway live?")},
        "/readyz": {"get": _get("Can it answer?", "503")},
    }


def _answer(name: str, api: Api, asked: str, kind: Json, example: object) -> Json:
    schema = {
        "type": "object",
        "required": ["model", asked],
        "properties": {
            "model": {"type": "string"},
            asked: kind,
            "stream": {"type": ["boolean", "null"]},
            "user": {"type": ["string", "null"]},
        },
    }
    body = {"model": name, asked: example, "user": "ann"}
    streamed = {"text/event-stream": {"schema": {"type": "string"}}}
    return {
        "summary": f"An answer, as vLLM's {api.path} gives it",
        "description": _FIELDS,
        "parameters": [
            _header(USER_HEADER, "Who asks, where the body has no `user`.", {}),
            _header(
                CONVERSATION_HEADER, "Which conversation goes on.", {"maxLength": MAX_ID_LENGTH}
            ),
            _header(COMPARE_HEADER, _TWO, {"enum": ["canary", "samples"]}),
        ],
        "requestBody": _body(schema, {"an answer": body, "bit by bit": body | {"stream": True}}),
        "responses": {"200": {"description": "The answer.", "content": _JSON_OBJECT | streamed}}
        | _refusals("400", "401", "403", "404", "413", "422", "429", "502", "503", "504"),
    }


def _verdict(summary: str, form: str, said: Json) -> Json:
    accepted = {"application/json": {"schema": {"$ref": "#/components/schemas/Accepted"}}}
    return {
        "summary": summary,
        "requestBody": _body({"$ref": f"#/components/schemas/{form}"}, said),
        "responses": {"202": {"description": "It is durable.", "content": accepted}}
        | _refusals("400", "401", "403", "413", "422", "429", "503"),
    }


def _get(summary: str, *refusals: str) -> Json:
    fine = {"description": "Yes.", "content": _JSON_OBJECT}
    return {"summary": summary, "responses": {"200": fine} | _refusals(*refusals)}


def _script() -> Json:
    content = {"text/javascript": {"schema": {"type": "string"}}}
    fine = {"description": "For browsers.", "content": content}
    return {"summary": "Sends what a page's reader says", "responses": {"200": fine}}


def _body(schema: Json, examples: Json) -> Json:
    told = {name: {"value": value} for name, value in examples.items()}
    return {"required": True, "content": {"application/json": {"schema": schema, "examples": told}}}


def _header(name: str, description: str, more: Json) -> Json:
    schema = {"type": "string"} | more
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _refusals(*statuses: str) -> Json:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {one: {"description": _REFUSALS[one], "content": error} for one in statuses}


_ABOUT = "OpenAI's chat API on vLLM, with a memory: what users say of the answers comes back here."
_FIELDS = (
    "Every field that vLLM takes is handed on as it is. The answer has one field more, "
    "`feedback_token`, in its first chunk where it is streamed: it is all that a page needs to "
    "send a verdict."
)
_TWO = "Two answers as two choices: of stable and canary, or two samples of one adapter."
_JSON_OBJECT = {"application/json": {"schema": {"type": "object"}}}
_ACCEPTED = {
    "type": "object",
    "required": ["id", "status"],
    "properties": {"id": {"type": "string"}, "status": {"const": "accepted"}},
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "integer", "null"]},
            },
        }
    },
}
