"""The hot messages of python_worker.py, read and written by hand: fastavro takes 4 to 20 us for what takes 1 to 3 us here, and a worker
that is slower than half of a copy loop would be no contender. fastavro says at the start whether both agree."""
import io, json, os, struct

import fastavro
from fastavro.schema import fingerprint, load_schema, to_parsing_canonical_form

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOPICS = ("container-acquire", "container-release", "usage-record", "cache")
OUTPUTS = ("container-assignment", "cache-result", "prediction")
SCHEMAS = {topic: load_schema(os.path.join(ROOT, "schemas", topic + ".avsc")) for topic in TOPICS + OUTPUTS}
HEADS = {topic: b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")) for topic, schema in SCHEMAS.items()}
HEAD = 10  # bytes
NEEDS = ("cpu_percent", "memory_mb", "execution_time_seconds")


def encode(topic, record):
    out = io.BytesIO()
    out.write(HEADS[topic])
    fastavro.schemaless_writer(out, SCHEMAS[topic], record)
    return out.getvalue()


def written(number):
    """An Avro long."""
    number = number << 1 if number >= 0 else (-number << 1) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


LENGTHS = [written(length) for length in range(600)]
NULL, SOME = b"\x00", b"\x02"  # a branch of a union of null and something


def text(value):
    data = value.encode()
    return LENGTHS[len(data)] + data


def read_long(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return (number >> 1) ^ -(number & 1), at
        shift += 7


def read_bytes(data, at):
    if data[at] < 128:
        end = at + 1 + (data[at] >> 1)
        return data[at + 1:end], end
    length, at = read_long(data, at)
    return data[at:at + length], at + length


def read_text(data, at):
    value, at = read_bytes(data, at)
    return value.decode(), at


def read_optional(read, data, at):
    return read(data, at + 1) if data[at] else (None, at + 1)


def read_double(data, at):
    return struct.unpack_from("<d", data, at)[0], at + 8


def read_acquire(data):
    """request_id, agent_id, philosophy; what else an acquire may say is left out here."""
    request, at = read_text(data, HEAD)
    agent, at = read_text(data, at)
    return request, agent, read_text(data, at)[0]


def read_release(data):
    request, at = read_text(data, HEAD)
    return request, read_text(data, at)[0]


def read_usage(data):
    """philosophy, cpu_percent, memory_usage_mb, execution_time"""
    _, at = read_optional(read_bytes, data, HEAD)
    _, at = read_bytes(data, at)
    philosophy, at = read_text(data, at)
    if data[at] and data[at + 9] and data[at + 18]:
        return philosophy, *struct.unpack_from("<xdxdxd", data, at)
    cpu, at = read_optional(read_double, data, at)
    memory, at = read_optional(read_double, data, at)
    return philosophy, cpu or 0, memory or 0, read_optional(read_double, data, at)[0] or 0


def read_cache(data):
    """event_id, op, namespace, key, value, ttl_seconds"""
    event, at = read_text(data, HEAD)
    op, at = read_text(data, at)
    namespace, at = read_optional(read_text, data, at)
    key, at = read_optional(read_text, data, at)
    value, at = read_optional(read_bytes, data, at)
    return event, op, namespace or "default", key or "", value, read_optional(read_long, data, at)[0]


READ = {"container-acquire": read_acquire, "container-release": read_release, "usage-record": read_usage, "cache": read_cache}
FIELDS = {"container-acquire": ("request_id", "agent_id", "philosophy"), "container-release": ("request_id", "philosophy"),
          "usage-record": ("philosophy", "cpu_percent", "memory_usage_mb", "execution_time"),
          "cache": ("event_id", "op", "namespace", "key", "value", "ttl_seconds")}


def decode(topic, data):
    if data.startswith(HEADS[topic]):
        return READ[topic](data)
    record = json.loads(data)
    return tuple(record.get(field) for field in FIELDS[topic])


# --- what is published ---

ASSIGNED, REJECTED = text("assigned"), text("rejected")
HOST = SOME + text("python") + NULL + b"\x01" + bytes(16)  # host, no address, warm, no time to start or to wait


def assignment_end(mean):
    """From `limits` to the end: the same for all acquires of a philosophy in a batch."""
    *needs, samples = mean
    needs = struct.pack("<ddd", *(need * 1.2 for need in needs))
    return struct.pack("<dd", 50.0, 256.0) + needs + needs + struct.pack("<d", samples / 100) + text("default") + NULL * 3 + SOME + text("hot") + NULL


def write_assignment(request, agent, philosophy, container, epoch, expires, end):
    given = (ASSIGNED, SOME, text(container)) if container else (REJECTED, NULL)
    return b"".join((HEADS["container-assignment"], text(request), text(agent), text(philosophy), *given, HOST, written(epoch), expires, end))


def write_cache_result(event, op, namespace, key, hit, value, ttl):
    value = NULL if value is None else SOME + written(len(value)) + value
    return b"".join((HEADS["cache-result"], text(event), text(op), text(namespace), text(key), b"\x01" if hit else b"\x00", value, SOME, written(ttl),
                     NULL, NULL))


def write_prediction(philosophy, mean):
    *needs, samples = mean
    needs = {name: need * 1.2 for name, need in zip(NEEDS, needs)}
    return encode("prediction", {"philosophy": philosophy, "requirements": needs, "recommended": needs, "confidence": samples / 100,
                                 "samples": samples, "basis": "default"})


def agree(ours, theirs):
    if ours != theirs:
        raise SystemExit(f"python_codec: {ours!r} is not what fastavro says: {theirs!r}")


def check():
    acquire = {"request_id": "r-1", "agent_id": "a" * 200, "philosophy": "p"}
    agree(decode("container-acquire", encode("container-acquire", acquire)), tuple(acquire.values()))
    agree(decode("container-release", encode("container-release", {"request_id": "r-1", "philosophy": "p"})), ("r-1", "p"))
    for usage in ({"cpu_percent": 1.5, "memory_usage_mb": 2.5, "execution_time": 3.5}, {"cpu_percent": None, "memory_usage_mb": 2.5, "execution_time": 3.5}):
        agree(decode("usage-record", encode("usage-record", {"agent_id": "a", "philosophy": "p", **usage})), ("p", *(figure or 0 for figure in usage.values())))
    event = {"event_id": "c-1", "op": "set", "namespace": "tool", "key": "k", "value": b"v" * 1000, "ttl_seconds": 600}
    agree(decode("cache", encode("cache", event)), tuple(event.values()))
    needs = dict(zip(NEEDS, (1.2, 2.4, 3.5999999999999996)))
    record = {"request_id": "r", "agent_id": "a", "philosophy": "p", "status": "assigned", "container_id": "c", "host": "python", "warm_start": True,
              "startup_time_ms": 0.0, "wait_ms": 0.0, "lease_epoch": 1 << 50, "lease_expires_at": 9, "limits": {"cpu_percent": 50.0, "memory_mb": 256.0},
              "requirements": needs, "recommended": needs, "confidence": 0.04, "basis": "default", "tier": "hot"}
    agree(write_assignment("r", "a", "p", "c", 1 << 50, written(9), assignment_end((1, 2, 3, 4))), encode("container-assignment", record))
    result = {"event_id": "c-1", "op": "get", "namespace": "tool", "key": "k", "hit": True, "value": b"v" * 1000, "ttl_seconds": 600}
    agree(write_cache_result(*result.values()), encode("cache-result", result))
