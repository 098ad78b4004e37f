"""What a worker does while a schema registry is away, slow or wrong: its partitions wait in order, others go on, and nothing is lost."""
import io
import json
import shutil
import struct
import tempfile
import unittest

import fastavro

from certificates import Certificates
from client import Client
from schema_registry import RawClient, Scripted
from system import WAIT_LIMIT, System, wait_until

ASK = {"type": "record", "name": "Ask", "namespace": "com.acme", "fields": [
    {"name": "philosophy", "type": "string"}, {"name": "request_id", "type": "string"}, {"name": "agent_id", "type": "string"}]}


def framed(number, record, schema=ASK):
    out = io.BytesIO()
    out.write(struct.pack(">bI", 0, number))
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    return out.getvalue()


def ask(number, request_id):
    return framed(number, {"philosophy": "react", "request_id": request_id, "agent_id": "a"})


class Faults(unittest.TestCase):
    def setUp(self):
        self.registry = Scripted()
        self.addCleanup(lambda: self.registry.server and self.registry.stop())

    def system(self, workers=1, **options):
        system = System(workers, options={"wire.registry.url": self.registry.url, "deadletter.payload": "true", "metrics.interval": 1,
                                          "wire.registry.timeout_ms": 1000,
                                          **{name.replace("__", "."): value for name, value in options.items()}}, wire="json")
        self.addCleanup(system.close)
        return system, Client(system, wire="json")

    def metric(self, system, name):
        text = system.workers[0].http("/metrics")[1]
        return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " ")), None)

    def letter(self, client, data):
        return client.wait("dead-letter", lambda record: record.raw == data).headers["reason"].decode()

    def test_a_partition_waits_in_order_and_others_go_on(self):
        system, client = self.system()
        self.registry.schema(90, json.dumps(ASK))
        self.registry.stop()  # away
        for number in range(3):
            client.send_raw("container-acquire", ask(90, f"waits-{number}"), partition=0)
        client.send("container-acquire", {"request_id": "behind", "agent_id": "a", "philosophy": "react"}, partition=0)
        wait_until(lambda: self.metric(system, "warmpool_registry_waiting_partitions") == 1, "the partition waits")
        wait_until(lambda: self.metric(system, "warmpool_registry_away") == 1, "it says that the registry is away")
        client.send("container-acquire", {"request_id": "beside", "agent_id": "a", "philosophy": "react"}, partition=1)
        self.assertEqual(client.wait("container-assignment", lambda r: r["request_id"] == "beside")["status"], "assigned")
        client.wait("metrics", lambda r: any(w["code"] == "registry_away" and "does not answer" in w["message"] for w in r["warnings"]))
        self.assertEqual([r["request_id"] for r in client.read("container-assignment")], ["beside"])
        self.assertEqual(client.read("dead-letter"), [])
        self.registry.start()
        wanted = ["waits-0", "waits-1", "waits-2", "behind"]
        client.wait_all("container-assignment", lambda r: r["request_id"] in wanted and r["status"] == "assigned", 4)
        wait_until(lambda: self.metric(system, "warmpool_registry_waiting_partitions") == 0, "it goes on")
        epochs = {r["request_id"]: r["lease_epoch"] for r in client.read("container-assignment")}
        self.assertEqual(sorted(wanted, key=epochs.get), wanted, "in the order of the partition")
        self.assertEqual(self.registry.asked(90), 1)

    def test_a_stop_while_waiting_is_clean_and_the_next_worker_goes_on(self):
        system, client = self.system()
        self.registry.schema(90, json.dumps(ASK))
        self.registry.go.clear()  # it accepts, and is silent
        client.send("container-acquire", {"request_id": "before", "agent_id": "a", "philosophy": "react"}, partition=0)
        client.send_raw("container-acquire", ask(90, "waits"), partition=0)
        client.wait("container-assignment", lambda r: r["request_id"] == "before")
        wait_until(lambda: self.metric(system, "warmpool_registry_waiting_partitions") == 1, "the partition waits")
        worker = system.workers[0]
        self.assertEqual(worker.stop(), 0)
        self.assertNotIn("stop_timeout", worker.log())
        self.registry.go.set()
        worker.start().wait_ready()
        self.assertEqual(client.wait("container-assignment", lambda r: r["request_id"] == "waits")["status"], "assigned")
        answers = [r for r in client.read("container-assignment") if r["request_id"] == "before" and r["status"] == "assigned"]
        self.assertEqual(len(answers), 1)

    def test_a_rebalance_while_waiting_moves_the_partition(self):
        system, client = self.system(workers=2, topics__partitions=2)
        self.registry.schema(90, json.dumps(ASK))
        self.registry.stop()
        for partition in (0, 1):
            client.send_raw("container-acquire", ask(90, f"waits-{partition}"), partition=partition)
        wait_until(lambda: any("event=partition_waits" in worker.log() for worker in system.workers), "a partition waits")
        system.workers[0].kill()
        self.registry.start()
        client.wait_all("container-assignment", lambda r: r["request_id"].startswith("waits-") and r["status"] == "assigned", 2)

    def test_what_cannot_be_read_is_dead_lettered_with_the_reason_and_the_stream_goes_on(self):
        system, client = self.system(topics__partitions=1, wire__registry__max_tries=2)
        self.registry.schema(90, json.dumps(ASK))
        self.registry.schema(91, json.dumps({**ASK, "fields": ASK["fields"][:2]}))
        self.registry.schema(92, "syntax = \"proto3\";", schemaType="PROTOBUF")
        self.registry.answers["/schemas/ids/93"] = (500, {"error_code": 50001, "message": "Error in the backend data store"})
        self.registry.answers["/schemas/ids/94"] = (200, b"<html>welcome</html>")
        for number in range(91, 96):
            client.send_raw("container-acquire", ask(number, f"bad-{number}"))
        client.send_raw("container-acquire", ask(90, "good"))
        self.assertEqual(client.wait("container-assignment", lambda r: r["request_id"] == "good")["status"], "assigned")
        self.assertRegex(self.letter(client, ask(91, "bad-91")), r"id 91 \(record com\.acme\.Ask\) is none of container-acquire: it has no field agent_id")
        self.assertRegex(self.letter(client, ask(92, "bad-92")), "id 92 is of the type PROTOBUF, which is not read here: write Avro or JSON Schema")
        self.assertRegex(self.letter(client, ask(93, "bad-93")), "in 2 tries: the schema registry at http://127.0.0.1:[0-9]+ answered 500: Error in the backend")
        self.assertRegex(self.letter(client, ask(94, "bad-94")), "answered 200: <html>welcome</html>, which is no JSON")
        self.assertRegex(self.letter(client, ask(95, "bad-95")), "id 95 is unknown: the schema registry at .* answered 404: Schema not found")
        # Each record another unknown id: one request each, and what follows is answered.
        before = len(self.registry.requests)
        for number in range(1000, 1200):
            client.producer.produce(system.prefix + "container-acquire", ask(number, f"flood-{number}"))
        client.producer.flush(WAIT_LIMIT)
        client.send_raw("container-acquire", ask(90, "after"))
        client.wait("container-assignment", lambda r: r["request_id"] == "after")
        self.assertEqual(len(self.registry.requests) - before, 200)
        client.wait_all("dead-letter", lambda r: b"flood-" in r.raw, 200)


class Start(unittest.TestCase):
    """wire.write = confluent with ids of a registry."""

    def worker(self, registry, **options):
        system = System(start=False, wire="confluent", options={
            "wire.confluent_ids": "", "wire.registry.url": registry.url, "wire.registry.register": "true", "topics.partitions": 1,
            **{name.replace("__", "."): value for name, value in options.items()}})
        self.addCleanup(system.close)
        return system, system.workers[0]

    def registry(self, tls=None):
        registry = Scripted(tls)
        self.addCleanup(registry.stop)
        return registry

    def test_a_registry_that_is_away_at_the_start_is_waited_for_and_readyz_says_so(self):
        registry = self.registry()
        registry.answers["*"] = (503, b"")
        system, worker = self.worker(registry, wire__registry__user="u", wire__registry__password="p")
        worker.start()
        wait_until(lambda: "registry: the id to write" in worker.http("/readyz")[1] and "answered 503" in worker.http("/readyz")[1],
                   lambda: worker.http("/readyz"))
        client = RawClient(system, wire="json")
        wait_until(lambda: "event=topic_created" in worker.log(), "topics are made meanwhile")
        registry.answers["*"] = (200, {"id": 7})
        worker.wait_ready()
        self.assertEqual(set(registry.authorizations), {"Basic dTpw"})
        client.send("cache", {"event_id": "e", "op": "get", "key": "k"})
        self.assertEqual(client.wait("cache-result").raw[:5], b"\0\0\0\0\7")

    def test_an_incompatible_schema_ends_the_worker_with_one_sentence(self):
        registry = self.registry()
        registry.answers["*"] = (409, {"error_code": 409, "message": "Schema being registered is incompatible with an earlier schema"})
        _, worker = self.worker(registry)
        worker.start()
        self.assertEqual(worker.process.wait(WAIT_LIMIT), 2)
        self.assertRegex(worker.log(), r"warmpool worker: schemas/[a-z-]+\.avsc is not usable under the subject .*-value: .*incompatible with an "
                                       "earlier schema; it must be compatible with what is there")
        self.assertNotIn("event=subscribed", worker.log())

    def test_tls_with_certificates_of_both_sides(self):
        folder = tempfile.mkdtemp(prefix="warmpool-tls-")
        self.addCleanup(shutil.rmtree, folder)
        made = Certificates(folder)
        made.authority("ours")
        made.authority("other")
        made.certificate("server", "DNS:localhost")
        made.certificate("client", "DNS:worker")
        registry = self.registry((made.file("server.pem"), made.file("server.key"), made.file("ours.pem")))
        registry.answers["*"] = (200, {"id": 7})
        _, worker = self.worker(registry, wire__registry__tls_ca=made.file("other.pem"), wire__registry__token="sesame",
                                wire__registry__tls_cert=made.file("client.pem"), wire__registry__tls_key=made.file("client.key"))
        worker.start()
        wait_until(lambda: "is wire.registry.tls_ca its authority?" in worker.http("/readyz")[1], lambda: worker.http("/readyz"))
        self.assertEqual(registry.requests, [], "not even the token was sent")
        self.assertEqual(worker.stop(), 0)
        worker.options["wire.registry.tls_ca"] = made.file("ours.pem")
        worker.start().wait_ready()
        self.assertEqual(set(registry.authorizations), {"Bearer sesame"})
        worker.stop()
        asked = len(registry.requests)
        worker.options.update({"wire.registry.tls_cert": "", "wire.registry.tls_key": ""})
        worker.start()
        wait_until(lambda: "registry: the id to write" in worker.http("/readyz")[1] and "does not answer" in worker.http("/readyz")[1],
                   lambda: worker.http("/readyz"))
        self.assertEqual(len(registry.requests), asked, "who has no certificate is not let in")


if __name__ == "__main__":
    unittest.main()
