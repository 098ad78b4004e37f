"""Records to bytes and back: JSON, or Avro single-object encoding (needs fastavro, the extra `avro`)."""
from __future__ import annotations

import base64
import importlib.resources
import io
import json
from typing import Any, Mapping

from .errors import UnreadableAnswer, WarmpoolError

FORMATS = ("json", "avro")
AVRO_MARK = b"\xc3\x01"


class Codec:
    """Encodes in one format, and decodes either: the first bytes of a record say what it is."""

    def __init__(self, wire: str = "json") -> None:
        if wire not in FORMATS:
            raise ValueError(f"wire must be json or avro, not {wire!r}")
        self._wire = wire
        self._schemas: dict[str, Any] = {}
        self._marks: dict[str, bytes] = {}
        if wire == "avro":
            self._schema("container-acquire")  # a missing fastavro is said now, not at the first request

    def encode(self, topic: str, record: Mapping[str, Any]) -> bytes:
        """Fields that are None are left out in JSON, which means the same."""
        if self._wire == "json":
            return json.dumps(dict(_json_field(name, value) for name, value in record.items() if value is not None)).encode()
        import fastavro

        out = io.BytesIO()
        schema = self._schema(topic)
        out.write(self._marks[topic])
        fastavro.schemaless_writer(out, schema, dict(record))
        return out.getvalue()

    def decode(self, topic: str, data: bytes) -> dict[str, Any]:
        try:
            if data[:2] == AVRO_MARK:
                return self._decode_avro(topic, data)
            if data[:1] == b"\0":
                raise UnreadableAnswer("the answer has Confluent's framing, which this client does not read: set wire.write to json or avro")
            record = json.loads(data)
        except ValueError as error:
            raise UnreadableAnswer(f"an answer on {topic} is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise UnreadableAnswer(f"an answer on {topic} is no JSON object")
        return record

    def _decode_avro(self, topic: str, data: bytes) -> dict[str, Any]:
        import_error = "the answer is in Avro: install warmpool-client[avro], or set wire.write to json"
        try:
            import fastavro
        except ImportError as error:
            raise UnreadableAnswer(import_error) from error
        schema = self._schema(topic)
        if data[:10] != self._marks[topic]:
            raise UnreadableAnswer(f"an answer on {topic} was written with another schema than this client has: install the client of warmpool's version")
        record = fastavro.schemaless_reader(io.BytesIO(data[10:]), schema, None)
        assert isinstance(record, dict)
        return record

    def _schema(self, topic: str) -> Any:
        if topic not in self._schemas:
            try:
                from fastavro import parse_schema
                from fastavro.schema import fingerprint, to_parsing_canonical_form
            except ImportError as error:
                raise WarmpoolError("wire='avro' needs fastavro: install warmpool-client[avro]") from error
            text = importlib.resources.files(__package__).joinpath("schemas", f"{topic}.avsc").read_text(encoding="utf-8")
            schema = json.loads(text)
            self._marks[topic] = AVRO_MARK + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
            self._schemas[topic] = parse_schema(schema)
        return self._schemas[topic]


def _json_field(name: str, value: Any) -> tuple[str, Any]:
    """Bytes are a string where they are UTF-8, else base64 in a field of that name."""
    if not isinstance(value, bytes):
        return name, value
    try:
        return name, value.decode()
    except UnicodeDecodeError:
        return f"{name}_base64", base64.b64encode(value).decode()
