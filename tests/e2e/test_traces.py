"""Traces of acquires, as a collector of OTLP/HTTP gets them: its spans are read by opentelemetry-proto."""
import json
import os
import signal
import subprocess
import time
import unittest

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from client import Client
from otlp_collector import NONE, Collector
from system import System, wait_until

INTERNAL, PRODUCER, CONSUMER = 1, 4, 5
TRACE, SENDER_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
UNSAMPLED = f"00-{TRACE}-{SENDER_SPAN}-00"
QUICK = {"trace.interval_ms": 20}


def sampled(trace):
    """A sender's header, of a trace with that number."""
    return f"00-{trace:032x}-{SENDER_SPAN}-01"


def acquire(request_id, philosophy="react", **fields):
    return {"request_id": request_id, "agent_id": "agent", "philosophy": philosophy, **fields}


def figure(worker, name):
    """A counter of the worker without labels."""
    lines = [line for line in worker.http("/metrics")[1].split("\n") if line.startswith(name + " ")]
    return int(lines[0].split()[1]) if lines else None


class Spans(unittest.TestCase):
    """Two workers share all topics; only the second one makes containers."""
    @classmethod
    def setUpClass(cls):
        cls.collector = Collector()
        cls.system = System(workers=2, options={**QUICK, "trace.url": cls.collector.url}, start=False)
        for worker in cls.system.workers:
            worker.options["worker.id"] = worker.name
        cls.system.workers[0].options["host.name"] = ""
        cls.system.workers[1].options["host.claims"] = os.path.join(cls.system.dir, "claims")
        cls.system.start()
        cls.client = Client(cls.system)

    @classmethod
    def tearDownClass(cls):
        cls.system.close()
        cls.collector.close()

    def answer(self, request_id, status="assigned"):
        return self.client.wait("container-assignment", lambda r: r["request_id"] == request_id and r["status"] == status)

    def check_tree(self, spans, parent):
        """All lie below `acquire`, and within it."""
        top = spans["acquire"]
        self.assertEqual(top.parent, parent)
        self.assertEqual(len({span.id for span in spans.values()}), len(spans))
        for span in spans.values():
            self.assertLessEqual(span.start, span.end, span)
            if span is not top:
                self.assertEqual((span.trace, span.parent), (top.trace, top.id), span)
                self.assertLessEqual(span.end, top.end + 1e6, span)

    def test_a_cold_start_by_two_workers_is_one_trace(self):
        takers = set()
        for partition in 0, 1:
            trace, request_id = f"{0xc01d + partition:032x}", f"cold-{partition}"
            self.client.send("container-acquire", acquire(request_id, tenant="t1"), partition=partition,
                             headers={"traceparent": sampled(0xc01d + partition), "tracestate": "a=1,b=2"})
            answer = self.answer(request_id)
            spans = self.collector.wait(request_id, "acquire", "queue", "wait", "create", "start", "ready", "publish")
            self.assertEqual(set(spans), {"acquire", "queue", "wait", "create", "start", "ready", "publish"})
            self.check_tree(spans, SENDER_SPAN)
            top = spans["acquire"]
            self.assertEqual(top.trace, trace)
            self.assertEqual({span.state for span in spans.values()} - {""}, {"a=1,b=2"})
            self.assertFalse([span for span in spans.values() if span.failed])
            kinds = {name: span.kind for name, span in spans.items()}
            self.assertEqual(kinds, {"acquire": CONSUMER, "queue": CONSUMER, "publish": PRODUCER, "wait": INTERNAL,
                                     "create": INTERNAL, "start": INTERNAL, "ready": INTERNAL})
            for name in "create", "start", "ready":  # by the worker that made it, with its own clock
                self.assertEqual(spans[name].instance, "w2")
                self.assertEqual(spans[name].attributes["container.name"], answer["container_id"])
                self.assertEqual(spans[name].attributes["warmpool.host"], "w2")
            self.assertLessEqual(spans["create"].end, spans["start"].start)
            self.assertLessEqual(spans["start"].end, spans["ready"].start)
            self.assertLessEqual(spans["queue"].end, spans["create"].start)
            self.assertLessEqual(spans["ready"].end, spans["publish"].start + 1e6)
            self.assertEqual(spans["publish"].instance, top.instance)
            self.assertAlmostEqual((spans["ready"].end - spans["ready"].start) / 1e6, answer["startup"]["ready_ms"], delta=1)
            self.assertAlmostEqual((spans["wait"].end - spans["wait"].start) / 1e6, answer["wait_ms"], delta=1)
            self.assertEqual({name: top.attributes[name] for name in top.attributes if name.startswith(("messaging", "warmpool"))}, {
                "messaging.system": "kafka", "messaging.operation.name": "process", "messaging.operation.type": "process",
                "messaging.destination.name": self.system.prefix + "container-acquire",
                "messaging.destination.partition.id": str(partition),
                "messaging.kafka.offset": top.attributes["messaging.kafka.offset"],
                "messaging.consumer.group.name": self.system.prefix + "group",
                "warmpool.request_id": request_id, "warmpool.agent_id": "agent", "warmpool.philosophy": "react",
                "warmpool.tenant": "t1", "warmpool.status": "assigned", "warmpool.start": "cold", "warmpool.host": "w2"})
            self.assertEqual(spans["queue"].attributes["messaging.kafka.offset"], top.attributes["messaging.kafka.offset"])
            self.assertEqual(spans["publish"].attributes["messaging.destination.name"], self.system.prefix + "container-assignment")
            self.assertEqual({name: top.resource[name] for name in ("service.name", "service.instance.id", "host.name")},
                             {"service.name": "warmpool", "service.instance.id": top.instance, "host.name": os.uname().nodename})
            self.assertIn("service.version", top.resource)
            # Who reads the answer goes on below `publish`.
            self.assertEqual(answer.headers["traceparent"].decode(), f"00-{trace}-{spans['publish'].id}-01")
            self.assertEqual(answer.headers["tracestate"], b"a=1,b=2")
            takers.add(spans["queue"].instance)
        self.assertEqual(takers, {"w1", "w2"}, "each worker has taken one of them")

    def test_a_warm_start(self):
        for number in 1, 2:
            self.client.send("container-acquire", acquire(f"warm-{number}", "warm"))
            self.answer(f"warm-{number}")
            self.client.send("container-release", {"request_id": f"warm-{number}", "philosophy": "warm", "reuse": True})
            self.system.wait_pool("warm", available=1, leased=0)
        spans = self.collector.wait("warm-2", "acquire", "queue", "publish")
        self.assertEqual(set(spans), {"acquire", "queue", "publish"})
        self.check_tree(spans, NONE)
        self.assertEqual(spans["acquire"].attributes["warmpool.start"], "hot")
        self.assertEqual(spans["acquire"].attributes["warmpool.tenant"], "default")
        self.assertLessEqual(spans["queue"].end, spans["publish"].start)
        header = self.answer("warm-2").headers["traceparent"].decode()
        self.assertEqual(header, f"00-{spans['acquire'].trace}-{spans['publish'].id}-01")
        self.assertNotEqual(spans["acquire"].trace, self.collector.wait("warm-1", "acquire")["acquire"].trace)

    def test_one_that_is_rejected_says_why(self):
        self.client.send("container-acquire", acquire("rejected", "empty", timeout_ms=0), headers={"traceparent": sampled(0x4e)})
        answer = self.answer("rejected", "rejected")
        spans = self.collector.wait("rejected", "acquire", "queue", "publish")
        self.check_tree(spans, SENDER_SPAN)
        self.assertTrue(spans["acquire"].failed)
        self.assertEqual(spans["acquire"].why, answer["reason"])
        self.assertEqual(spans["acquire"].attributes["error.type"], "timeout")
        self.assertEqual(spans["acquire"].attributes["warmpool.status"], "rejected")
        self.assertFalse(spans["publish"].failed)

    def test_one_that_is_invalid_has_a_trace_too(self):
        self.client.send("container-acquire", acquire("invalid", "a b"))
        self.answer("invalid", "rejected")
        spans = self.collector.wait("invalid", "acquire", "queue", "publish")
        self.assertEqual(spans["acquire"].attributes["error.type"], "invalid")

    def test_one_that_is_lost(self):
        self.client.send("container-acquire", acquire("lost", "mortal"))
        os.kill(int(self.answer("lost")["address"].partition(":")[2]), signal.SIGKILL)
        notice = self.answer("lost", "lost")
        spans = self.collector.wait("lost", "acquire", "lost")
        self.check_tree({name: span for name, span in spans.items() if name != "lost"}, NONE)
        self.assertEqual((spans["lost"].trace, spans["lost"].parent), (spans["acquire"].trace, spans["acquire"].id))
        self.assertTrue(spans["lost"].failed)
        self.assertEqual((spans["lost"].why, spans["lost"].attributes["error.type"]), (notice["reason"], "container_died"))
        self.assertFalse(spans["acquire"].failed)
        self.assertEqual(notice.headers["traceparent"].decode(), f"00-{spans['lost'].trace}-{spans['lost'].id}-01")

    def test_a_claim_is_bound_and_in_no_span(self):
        self.client.send("container-acquire", acquire("claim", "bound", claim={"token": "s3cret-claim"}))
        self.answer("claim")
        spans = self.collector.wait("claim", "acquire", "queue", "create", "start", "ready", "bind", "publish")
        self.check_tree(spans, NONE)
        self.assertNotIn("s3cret-claim", str(self.collector.spans))
        self.assertEqual(spans["create"].instance, "w2")

    def test_a_container_that_was_made_for_nobody(self):
        """Its start lies in no trace: the worker that answers makes the spans from the answer."""
        self.client.send("pool-control", {"control_id": "p", "philosophy": "pre", "op": "pre_warm", "count": 1})
        wait_until(lambda: self.system.pool("pre")["creating"] or self.system.pool("pre")["available"], "it is being made")
        self.client.send("container-acquire", acquire("pre", "pre"))
        answer = self.answer("pre")
        spans = self.collector.wait("pre", "acquire", "queue", "publish")
        self.check_tree(spans, NONE)
        self.assertEqual("create" in spans, answer["tier"] == "cold")
        self.assertFalse([span for span in spans.values() if "warmpool.runtime" in span.attributes])

    def test_a_sender_that_has_not_sampled_it(self):
        self.client.send("container-acquire", acquire("unsampled", "empty", timeout_ms=0),
                         headers={"traceparent": UNSAMPLED, "tracestate": "a=1"})
        answer = self.answer("unsampled", "rejected")
        self.client.send("container-acquire", acquire("after", "empty", timeout_ms=0), partition=answer.partition)
        self.client.send("container-acquire", acquire("after-2", "empty", timeout_ms=0), partition=1 - answer.partition)
        self.collector.wait("after", "acquire")
        self.collector.wait("after-2", "acquire")
        self.assertEqual(self.collector.of_request("unsampled"), [])
        self.assertEqual(answer.headers, {"traceparent": UNSAMPLED.encode(), "tracestate": b"a=1"})

    def test_a_traceparent_that_is_none(self):
        wrong = ("00-short-b7-01", f"00-{'0' * 32}-{SENDER_SPAN}-01", f"ff-{TRACE}-{SENDER_SPAN}-01", "x" * 600, "a;b c",
                 f"00-{TRACE}-{SENDER_SPAN}-01;{SENDER_SPAN};1;1;1", f"00-{TRACE.upper()}-{SENDER_SPAN}-01", "", "\x00\xff")
        for number, header in enumerate(wrong):
            self.client.send("container-acquire", acquire(f"wrong-{number}", "empty", timeout_ms=0),
                             headers={"traceparent": header, "tracestate": "a=1"})
        for number, header in enumerate(wrong):
            answer = self.answer(f"wrong-{number}", "rejected")
            spans = self.collector.wait(f"wrong-{number}", "acquire", "queue", "publish")
            self.check_tree(spans, NONE)
            self.assertNotEqual(spans["acquire"].trace, TRACE)
            self.assertEqual(spans["acquire"].state, "", "a state without its parent is none")
            self.assertEqual(answer.headers, {"traceparent": f"00-{spans['acquire'].trace}-{spans['publish'].id}-01".encode()})

    def test_an_acquire_that_is_sent_again_has_its_spans_once(self):
        for _ in range(2):
            self.client.send("container-acquire", acquire("again", "repeated"), headers={"traceparent": sampled(0xa9)})
            self.answer("again")
        answers = self.client.wait_all("container-assignment", lambda r: r["request_id"] == "again", 2)
        self.assertEqual(answers[0].headers, answers[1].headers)
        self.client.send("container-acquire", acquire("after-again", "empty", timeout_ms=0))
        self.collector.wait("again", "acquire", "publish")
        self.collector.wait("after-again", "acquire", "publish")
        found = [span for span in self.collector.spans if span.attributes.get("warmpool.request_id") == "again"]
        self.assertEqual(len(found), 1, found)


class Shares(unittest.TestCase):
    MANY = 400

    def send(self, client, prefix, count, **how):
        for number in range(count):
            client.producer.produce(client.system.prefix + "container-acquire",
                                    json.dumps(acquire(f"{prefix}-{number}", "empty", timeout_ms=0)), **how)
        client.producer.flush()
        client.wait_all("container-assignment", lambda r: r["request_id"].startswith(prefix + "-"), count)

    def traced(self, collector, prefix):
        return {span.attributes["warmpool.request_id"] for span in collector.spans
                if span.attributes.get("warmpool.request_id", "").startswith(prefix + "-")}

    def test_none_a_half_and_without_traces(self):
        """Each worker's spans have all come when it has stopped."""
        with Collector() as collector, System(options={"trace.url": collector.url, "trace.sample": 0}) as system:
            client, worker = Client(system), system.workers[0]
            self.send(client, "none", 40)
            self.send(client, "parent", 1, headers={"traceparent": sampled(1)})
            self.assertEqual(worker.stop(), 0)
            self.assertEqual((self.traced(collector, "none"), self.traced(collector, "parent")), (set(), {"parent-0"}))

            worker.options["trace.sample"] = 0.5
            worker.start().wait_ready()
            self.send(client, "half", self.MANY)
            self.assertEqual(worker.stop(), 0)
            share = len(self.traced(collector, "half"))
            self.assertTrue(self.MANY / 2 - 50 < share < self.MANY / 2 + 50, f"{share} of {self.MANY}")
            for answer in client.records["container-assignment"]:
                if answer["request_id"].startswith("half-"):
                    self.assertEqual("traceparent" in answer.headers, answer["request_id"] in self.traced(collector, "half"))

            requests = collector.requests
            worker.options["trace.url"] = ""
            worker.start().wait_ready()
            self.send(client, "off", 10, headers={"traceparent": sampled(2), "tracestate": "a=1"})
            self.assertEqual(worker.stop(), 0)
            self.assertEqual(collector.requests, requests)
            for answer in client.wait_all("container-assignment", lambda r: r["request_id"].startswith("off-"), 10):
                self.assertEqual(answer.headers, {"traceparent": sampled(2).encode(), "tracestate": b"a=1"})


class Failures(unittest.TestCase):
    def test_a_create_that_failed(self):
        options = {**QUICK, "process.command": "echo broken >&2; exit 3", "pool.max_failures": 2}
        with Collector() as collector, System(options={**options, "trace.url": collector.url}) as system:
            client = Client(system)
            client.acquire("r-1")
            spans = collector.wait("r-1", "acquire", "create", "publish")
            self.assertEqual(spans["acquire"].attributes["error.type"], "unavailable")
            creates = [span for span in collector.of_request("r-1") if span.name == "create"]
            self.assertEqual(len({span.id for span in creates}), len(creates))
            for span in creates:  # one or two: a host may begin, and fail, before it has read the command
                self.assertTrue(span.failed)
                self.assertEqual((span.parent, span.attributes["error.type"]), (spans["acquire"].id, "container_failed"))
                self.assertIn("3", span.why)


def later(handler):
    handler.reply(503, b"\x08\x0e\x12\x04busy", {"Retry-After": "1"})


def until_given_up(handler):
    """No answer, until the worker has closed the connection."""
    handler.rfile.read(1)


def refuse(handler):
    handler.reply(400, b"\x08\x03\x12\x09bad spans")


def page(handler):
    handler.reply(200, b"<html>welcome</html>", {"Content-Type": "text/html"})


def endless(handler):
    handler.reply(200, b"\x0a" * 1000000)


def partly(handler):
    found = handler.take()
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = len(found) - 1
    answer.partial_success.error_message = "too old"
    handler.reply(200, answer.SerializeToString())


class Troubles(unittest.TestCase):
    """Whatever the collector does, each acquire gets its answer, and each span is counted."""
    @classmethod
    def setUpClass(cls):
        cls.collector = Collector()
        cls.system = System(options={**QUICK, "trace.url": cls.collector.url, "trace.timeout_ms": 500, "trace.queue": 30, "trace.batch": 30,
                                     "worker.stop_timeout_ms": 8000})
        cls.client, cls.worker = Client(cls.system), cls.system.workers[0]
        cls.sent, cls.began = 0, time.monotonic()

    @classmethod
    def tearDownClass(cls):
        cls.system.close()
        cls.collector.close()

    def send(self, count):
        """Acquires that are answered at once, with three spans each."""
        first = Troubles.sent
        Troubles.sent += count
        for number in range(first, Troubles.sent):
            self.client.send("container-acquire", acquire(f"t-{number}", "empty", timeout_ms=0))
        self.client.wait_all("container-assignment", lambda r: r["request_id"].startswith("t-"), Troubles.sent)

    def figures(self):
        return {name: figure(self.worker, f"warmpool_trace_{name}_total") for name in
                ("spans_exported", "spans_dropped", "export_failures")}

    def wait_figures(self, before, **more):
        wanted = {name: before[name] + more.get(name, 0) for name in before}
        wait_until(lambda: self.figures() == wanted, lambda: f"{self.figures()} become {wanted}\n{self.worker.log()[-2000:]}")

    def idle(self):
        """All spans so far are sent or dropped."""
        wait_until(lambda: sum(self.figures()[name] for name in ("spans_exported", "spans_dropped")) == 3 * Troubles.sent,
                   lambda: f"{Troubles.sent} requests: {self.figures()}")
        return self.figures()

    def once(self, answer):
        def first(handler):
            self.collector.answer = None
            answer(handler)
        self.collector.answer = first

    def test_busy_means_later(self):
        before = self.idle()
        self.once(later)
        self.send(1)
        began = time.monotonic()
        self.wait_figures(before, spans_exported=3, export_failures=1)
        self.assertGreater(time.monotonic() - began, 0.5, "Retry-After was a second")

    def test_a_collector_that_is_slow(self):
        before = self.idle()
        self.once(until_given_up)
        self.send(1)
        self.wait_figures(before, spans_exported=3, export_failures=1)

    def test_what_is_refused_is_not_sent_again(self):
        for answer in refuse, page, endless:
            before = self.idle()
            self.once(answer)
            self.send(1)
            self.wait_figures(before, spans_dropped=3, export_failures=1)

    def test_a_part_is_taken(self):
        before = self.idle()
        self.once(partly)
        self.send(1)
        self.wait_figures(before, spans_exported=1, spans_dropped=2)

    def test_the_queue_is_bounded_while_the_collector_does_not_answer(self):
        before = self.idle()
        self.collector.answer = until_given_up
        self.send(1)
        self.send(30)
        wait_until(lambda: self.figures()["spans_dropped"] >= before["spans_dropped"] + 30, "90 spans do not fit into 60 places")
        self.collector.answer = None
        self.idle()
        warnings = self.worker.log().count("event=trace_spans_not_sent")
        self.assertTrue(1 <= warnings <= 1 + (time.monotonic() - self.began) // 60, "one a minute")

    def test_z_away_and_a_stop(self):
        """The last one: there is no collector any more."""
        self.idle()
        port = self.collector.port
        self.collector.close()
        self.send(20)
        self.assertEqual(self.worker.stop(), 0)
        self.assertIn("event=trace_spans_not_flushed", self.worker.log())
        answers = [r["request_id"] for r in self.client.records["container-assignment"]]
        self.assertEqual(len(answers), len(set(answers)), "each acquire has one answer")
        Troubles.collector = Collector(port)


class Stop(unittest.TestCase):
    def test_what_is_left_is_sent_at_the_end_but_not_waited_for(self):
        options = {"trace.interval_ms": 600000, "worker.stop_timeout_ms": 6000}
        with Collector() as collector, System(options={**options, "trace.url": collector.url}) as system:
            client, worker = Client(system), system.workers[0]
            client.acquire("r-1", "empty", timeout_ms=0)
            self.assertEqual(collector.spans, [])
            self.assertEqual(worker.stop(), 0)
            self.assertEqual({span.name for span in collector.of_request("r-1")}, {"acquire", "queue", "publish"})

            collector.answer = until_given_up
            worker.start().wait_ready()
            client.acquire("r-2", "empty", timeout_ms=0)
            began = time.monotonic()
            self.assertEqual(worker.stop(), 0)
            self.assertLess(time.monotonic() - began, 6)
            self.assertIn("event=stopped exit=0", worker.log())
            self.assertIn("the time for it is over", worker.log())


class Check(unittest.TestCase):
    """`warmpool check`, and by it how a collector is reached."""
    @classmethod
    def setUpClass(cls):
        cls.system = System(workers=0)
        cls.files = {name: os.path.join(cls.system.dir, name) for name in ("certificate", "key", "other", "other_key")}
        for certificate, key in ("certificate", "key"), ("other", "other_key"):
            cls.certify(cls.files[certificate], cls.files[key])

    @classmethod
    def tearDownClass(cls):
        cls.system.close()

    @classmethod
    def certify(cls, certificate, key):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=collector", "-addext",
                        "subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", key], check=True, capture_output=True)

    def line(self, **options):
        arguments = [f"-o=trace.{name}={value}" for name, value in options.items()]
        result = self.system.cli("check", *[part for argument in arguments for part in argument.split("=", 1)])
        found = [line for line in (result.stdout + result.stderr).split("\n") if "trace" in line]
        self.assertEqual(len(found), 1, result)
        return found[0]

    def test_it_says_what_a_collector_answers(self):
        self.assertIn("off (trace.url is empty)", self.line())
        with Collector() as collector:
            self.assertIn(f"the collector at {collector.url} takes them", self.line(url=collector.url))
            self.assertIn("takes them", self.line(url=collector.url + "/v1/traces/"))
            collector.answer = lambda handler: handler.reply(401)
            self.assertIn("has answered with status 401; see trace.headers", self.line(url=collector.url))
            collector.answer = refuse
            self.assertIn("has answered with status 400: bad spans", self.line(url=collector.url))
            collector.answer = page
            self.assertIn("is no collector of OTLP/HTTP; its port is 4318 as a rule", self.line(url=collector.url))
            collector.answer = lambda handler: handler.reply(302, headers={"Location": "http://127.0.0.1:1/"})
            self.assertIn("status 302; see trace.url", self.line(url=collector.url))
        self.assertRegex(self.line(url=collector.url), "no answer from the collector at .*; a worker runs all the same")

    def test_a_password_is_sent_and_not_shown(self):
        with Collector() as collector:
            said = self.line(url=collector.url, headers="authorization=Bearer%20s3cret%2C,x-tenant=a b")
            self.assertIn("takes them", said)
            self.assertEqual((collector.headers["authorization"], collector.headers["x-tenant"]), ("Bearer s3cret,", "a b"))
            said = self.line(url=collector.url, headers="authorization=Bearer s3cret,nonsense")
            self.assertIn("trace.headers: the 2. header is not name=value", said)
            self.assertNotIn("s3cret", said)

    def test_tls(self):
        with Collector(tls=(self.files["certificate"], self.files["key"])) as collector:
            for wrong in {}, {"tls_ca": self.files["other"]}:
                said = self.line(url=collector.url, **wrong)
                self.assertIn("no answer from the collector", said)
                self.assertIn("; see trace.tls_ca, trace.tls_cert and trace.tls_key", said)
            self.assertEqual(collector.requests, 0)
            self.assertIn("takes them", self.line(url=collector.url, tls_ca=self.files["certificate"]))
            self.assertIn("no answer", self.line(url=collector.url.replace("127.0.0.1", "localhost"), tls_ca=self.files["certificate"]),
                          "the certificate is another host's")

    def test_values_that_are_refused(self):
        self.assertIn("trace.url: http://host:port or https://host:port is wanted", self.line(url="localhost:4317"))
        self.assertIn("trace.sample", self.line(sample="2"))
        self.assertIn("trace.batch (512) is above trace.queue (5); raise the latter", self.line(queue="5"))


if __name__ == "__main__":
    unittest.main()
