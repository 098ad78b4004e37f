"""The subcommands against a real system."""
import json
import os
import signal
import subprocess
import tempfile
import unittest

from confluent_kafka.admin import AdminClient

from client import Client
from system import ROOT, WAIT_LIMIT, System, pause, wait_until

TRACE_HEADER = "at_ms,philosophy,hold_ms,cpu_percent,memory_mb\n"


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def trace_file(runs):
    file = tempfile.NamedTemporaryFile("w", suffix=".csv")
    file.write(TRACE_HEADER + "".join(runs))
    file.flush()
    return file


class WithSystem(unittest.TestCase):
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.system = System(options=cls.options)
        cls.addClassCleanup(cls.system.close)
        cls.client = Client(cls.system)


class SendAndTail(WithSystem):
    def test_every_wire_format_is_sent_and_printed(self):
        for wire in ("avro", "confluent", "json"):
            line = json.dumps({"request_id": f"s-{wire}", "agent_id": "a", "philosophy": "react", "tenant": "t"})
            sent = self.system.cli("send", "-o", f"wire.write={wire}", "container-acquire", input=line + "\n\n")
            self.assertEqual((sent.returncode, sent.stdout), (0, ""), sent.stderr)
            self.assertIn("1 sent, 0 refused", sent.stderr)
            got = self.client.wait("container-acquire", lambda r: r.get("request_id") == f"s-{wire}")
            self.assertEqual((got.wire, got.key), (wire, f"s-{wire}".encode()))
            self.client.wait("container-assignment", lambda r: r.get("request_id") == f"s-{wire}")
        tail = self.system.cli("tail", "--from-beginning", "--until-end", "container-acquire", "container-assignment")
        self.assertEqual(tail.returncode, 0, tail.stderr)
        lines = json_lines(tail.stdout)
        acquires = {line["key"]: line for line in lines if line["topic"].endswith("container-acquire")}
        self.assertEqual(acquires["s-avro"]["value"]["tenant"], "t")
        self.assertGreater(acquires["s-avro"]["timestamp"], 1600000000000)
        answers = {line["value"]["request_id"]: line["value"]["status"] for line in lines if line["topic"].endswith("container-assignment")}
        self.assertEqual(answers["s-json"], "assigned")

    def test_a_bad_line_is_named_and_the_others_are_sent(self):
        lines = ['{"event_id": "b-1", "op": "get", "key": "k"}', '{"event_id": 7}', "no json",
                 '{"event_id": "b-4", "op": "get", "key": "k"}']
        sent = self.system.cli("send", "cache", input="\n".join(lines))
        self.assertEqual(sent.returncode, 1)
        self.assertIn("line 2:", sent.stderr)
        self.assertIn("line 3:", sent.stderr)
        self.assertIn("2 sent, 2 refused", sent.stderr)
        self.client.wait("cache-result", lambda r: r.get("event_id") == "b-4")

    def test_a_line_that_is_too_large_or_binary_is_named_and_the_others_are_sent(self):
        get = '{"event_id": "%s", "op": "get", "key": "%s"}\n'
        lines = get % ("l-1", "k") + get % ("l-2", "k" * 2000) + "\0\0\n" + get % ("l-4", "k")
        sent = self.system.cli("send", "-o", "kafka.message.max.bytes=1000", "cache", input=lines)
        self.assertEqual(sent.returncode, 1)
        self.assertRegex(sent.stderr, "line 2: .*kafka.message.max.bytes")
        self.assertIn("line 3:", sent.stderr)
        self.assertIn("2 sent, 2 refused", sent.stderr)
        for name in "l-1", "l-4":
            self.client.wait("cache-result", lambda r: r.get("event_id") == name)

    def test_input_that_cannot_be_read_is_an_error(self):
        folder = os.open("/", os.O_RDONLY)
        self.addCleanup(os.close, folder)
        sent = subprocess.run(self.system.command("send", "cache"), stdin=folder, capture_output=True, text=True, timeout=WAIT_LIMIT)
        self.assertEqual(sent.returncode, 1)
        self.assertIn("standard input cannot be read: Is a directory", sent.stderr)

    def test_what_was_read_before_an_interruption_is_delivered(self):
        sender = subprocess.Popen(self.system.command("send", "cache"), stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        sender.stdin.write('{"event_id": "i-1", "op": "get", "key": "k"}\n')
        sender.stdin.flush()
        self.client.wait("cache-result", lambda r: r.get("event_id") == "i-1")
        sender.send_signal(signal.SIGINT)
        self.assertEqual(sender.wait(WAIT_LIMIT), 1)
        self.assertIn("interrupted; 1 sent before", sender.stderr.read())
        sender.stdin.close()
        sender.stderr.close()

    def test_tail_ends_when_its_reader_has_gone_or_its_disk_is_full(self):
        reader, writer = os.pipe()
        tail = subprocess.Popen(self.system.command("tail", "prediction"), stdout=writer, stderr=subprocess.PIPE, text=True)
        os.close(writer)
        os.close(reader)
        self.assertEqual((tail.wait(WAIT_LIMIT), tail.stderr.read()), (0, ""))
        tail.stderr.close()
        self.client.send("cache", {"event_id": "f-1", "op": "get", "key": "k"})
        self.client.wait("cache-result", lambda r: r.get("event_id") == "f-1")
        reader, writer = os.pipe()
        os.close(reader)
        tail = subprocess.run(self.system.command("tail", "--from-beginning", "cache"), stdout=writer, stderr=subprocess.PIPE, text=True,
                              timeout=WAIT_LIMIT)
        os.close(writer)
        self.assertEqual((tail.returncode, tail.stderr), (0, ""))
        with open("/dev/full", "w") as full:
            tail = subprocess.run(self.system.command("tail", "--from-beginning", "cache"), stdout=full, stderr=subprocess.PIPE, text=True,
                                  timeout=WAIT_LIMIT)
        self.assertEqual(tail.returncode, 1)
        self.assertIn("No space left on device", tail.stderr)

    def test_numbers_are_printed_as_they_were_sent(self):
        for wire in ("avro", "json"):
            line = json.dumps({"record_id": f"n-{wire}", "agent_id": "a", "philosophy": "numbers", "cpu_percent": 0.008})
            sent = self.system.cli("send", "-o", f"wire.write={wire}", "usage-record", input=line)
            self.assertEqual(sent.returncode, 0, sent.stderr)
        tail = self.system.cli("tail", "--from-beginning", "--until-end", "usage-record")
        self.assertEqual(tail.stdout.count('"cpu_percent":0.008'), 2, tail.stdout)
        self.assertNotIn("0.00800", tail.stdout)

    def test_the_key_is_the_field_asked_for(self):
        line = json.dumps({"record_id": "u-1", "agent_id": "agent-u", "philosophy": "keyed", "cpu_percent": 5})
        self.assertEqual(self.system.cli("send", "--key-field", "philosophy", "usage-record", input=line).returncode, 0)
        self.assertEqual(self.client.wait("usage-record", lambda r: r.get("record_id") == "u-1").key, b"keyed")

    def test_tail_shows_dead_letters_with_their_headers(self):
        self.client.send_raw("container-release", b"{not json")
        self.client.send_raw("container-release", b"\xc3\x01\xff")
        tail = self.system.cli("tail", "--from-beginning", "--count", "2", "--timeout", "120", "dead-letter")
        self.assertEqual(tail.returncode, 0, tail.stderr)
        letters = json_lines(tail.stdout)
        self.assertTrue(all(letter["headers"]["reason"] for letter in letters), letters)
        self.assertEqual({letter.get("value") or letter.get("value_base64") for letter in letters}, {"{not json", "wwH/"})

    def test_tail_counts_and_times_out(self):
        tail = self.system.cli("tail", "--count", "1", "--timeout", "1", "pool-control")
        self.assertEqual((tail.returncode, tail.stdout), (1, ""), tail.stderr)
        self.assertEqual(self.system.cli("tail", "--timeout", "1", "pool-control").returncode, 0)

    def test_wrong_arguments_are_explained(self):
        for arguments, why in ((("send", "nope"), "nope is no topic"), (("send", "dead-letter"), "no topic that can be sent to"),
                               (("tail", "nope"), "nope is no topic"), (("tail", "--count", "x", "cache"), "--count x"),
                               (("tail", "--timeout", "-1", "cache"), "--timeout -1"), (("accept", "metrics"), "no input topic"),
                               (("replay", "--speed", "0", str(ROOT / "demo" / "azure_functions_2019.csv")), "--speed 0")):
            result = self.system.cli(*arguments, input="")
            self.assertIn(why, result.stderr)
            self.assertIn(result.returncode, (1, 2), arguments)

    def test_a_broker_that_is_away_is_named(self):
        for arguments in (("send", "cache"), ("tail", "cache")):
            result = self.system.cli(arguments[0], "-o", "kafka.bootstrap.servers=127.0.0.1:1", arguments[1], input="{}\n")
            self.assertEqual(result.returncode, 1)
            self.assertIn("127.0.0.1:1", result.stderr)

    def test_a_topic_that_is_missing_is_named_and_not_made(self):
        result = self.system.cli("tail", "-o", "topics.prefix=nobody.", "cache")
        self.assertEqual(result.returncode, 1)
        self.assertIn("nobody.cache does not exist", result.stderr)


class StatusAndCheck(WithSystem):
    def test_status_says_what_is_leased_and_cached(self):
        self.client.acquire("st-1", "status_pool")
        self.client.send("cache", {"event_id": "c-1", "op": "set", "namespace": "tool", "key": "k", "value": b"v"})
        self.client.wait("cache-result", lambda r: r.get("event_id") == "c-1")
        status = self.system.cli("status", "--json")
        self.assertEqual(status.returncode, 0, status.stderr)
        state = json.loads(status.stdout)
        self.assertEqual(state["pool"]["pools"]["status_pool"]["leased"], 1)
        self.assertEqual(state["cache"]["size"], 1)
        text = self.system.cli("status").stdout
        self.assertRegex(text, r"status_pool +\d+ +\d+ +\d+ +1 ")
        self.assertRegex(text, r"w1 +up ")
        self.assertRegex(text, r"tool +1 ")

    def test_status_names_a_redis_that_is_away(self):
        result = self.system.cli("status", "-o", "redis.url=unix:///nowhere.sock")
        self.assertEqual(result.returncode, 1)
        self.assertIn("/nowhere.sock", result.stderr)

    def test_status_names_a_redis_that_does_not_answer(self):
        self.addCleanup(self.system.redis.process.send_signal, signal.SIGCONT)
        pause(self.system.redis.process.pid)
        result = self.system.cli("status", "-o", "redis.timeout_ms=200")
        self.assertEqual(result.returncode, 1)
        self.assertIn("does not answer: nothing within redis.timeout_ms", result.stderr)

    def test_check_passes_where_a_worker_works(self):
        result = self.system.cli("check", "-o", "http.listen=127.0.0.1:0", "-o", "host.name=checked")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertNotIn("FAIL", result.stdout)
        for what in ("configuration", "wire", "kafka", "topics", "redis.url", "redis user", "http", "host", "claims"):
            self.assertIn(f"ok   {what}", result.stdout)

    def test_check_names_missing_topics_and_makes_none(self):
        result = self.system.cli("check", "-o", "topics.prefix=absent.", "-o", "http.listen=")
        self.assertIn("absent.container-acquire", result.stdout)
        self.assertNotIn("absent.cache", AdminClient({"bootstrap.servers": self.system.kafka.bootstrap}).list_topics(timeout=WAIT_LIMIT).topics)

    def test_check_says_what_is_wrong(self):
        worker = self.system.workers[0]
        port = wait_until(lambda: worker.http("/healthz")[0] == 200 and worker.port(), "the worker listens")
        for option, why in (("kafka.bootstrap.servers=127.0.0.1:1", "127.0.0.1:1"), ("redis.url=redis://127.0.0.1:1", "127.0.0.1:1"),
                            (f"http.listen=127.0.0.1:{port}", "choose another port"), ("http.listen=nowhere.invalid:1", "HOST:PORT"),
                            ("http.listen=9464", "no port"), ("http.listen=127.0.0.1:99999", "no port"),
                            ("wire.schemas=/nowhere", "/nowhere"), ("host.claims=/proc/nowhere/claims", "/proc/nowhere/claims")):
            result = self.system.cli("check", "-o", "host.name=checked", "-o", option)
            self.assertEqual(result.returncode, 1, result.stdout)
            self.assertRegex(result.stdout, rf"FAIL .*{why}")

    def test_check_refuses_a_wrong_option(self):
        result = self.system.cli("check", "-o", "pool.sise=3")
        self.assertEqual(result.returncode, 2)
        self.assertIn("pool.size", result.stderr)


class Replay(WithSystem):
    def test_every_acquire_is_answered_and_the_figures_add_up(self):
        runs = [f"{number * 20},p{number % 5},{number % 7 * 10},{10 + number % 9},{64}\n" for number in range(300)]
        with trace_file(runs) as trace:
            result = self.system.cli("replay", "--duration", "3", "--json", trace.name)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("What happened", result.stdout)
        figures = json.loads(result.stdout.splitlines()[-1])
        self.assertEqual(figures["acquires"], 300)
        self.assertEqual(figures["assigned"] + figures["rejected"], 300)
        self.assertEqual((figures["rejected"], figures["lost"], figures["dead_letters"], figures["unanswered"]), (0, 0, 0, 0))
        self.assertGreater(figures["cache_hit_rate_percent"], 0)
        self.assertGreater(figures["predictions"], 0)
        self.assertGreater(figures["acquire_p99_ms"], 0)
        total = wait_until(lambda: self.idle_state(), "all leases ended")["pool"]["total"]
        self.assertEqual(total["warm_starts"] + total["cold_starts"], 300)
        self.assertGreater(total["warm_starts"], 0)
        self.assertAlmostEqual(figures["warm_start_rate_percent"], 100 * total["warm_starts"] / 300, delta=0.1)

    def idle_state(self):
        state = json.loads(self.system.cli("status", "--json").stdout)
        return state if state["pool"]["total"]["leased"] == 0 else None

    def test_a_trace_that_is_none_is_refused(self):
        with trace_file(["0,react,1\n"]) as trace:
            result = self.system.cli("replay", trace.name)
        self.assertEqual(result.returncode, 1)
        self.assertIn(":2:", result.stderr)


    def test_one_that_is_interrupted_releases_what_it_holds(self):
        with trace_file(["0,held,86400000,1,1\n"]) as trace:
            replay = subprocess.Popen(self.system.command("replay", "--json", trace.name), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            wait_until(lambda: self.system.pool("held")["leased"] == 1, "it holds a container")
            replay.send_signal(signal.SIGINT)
            out, error = replay.communicate(timeout=WAIT_LIMIT)
        self.assertEqual(replay.returncode, 0, error)
        self.assertEqual(json.loads(out.splitlines()[-1])["assigned"], 1)
        wait_until(lambda: self.system.pool("held")["leased"] == 0, "it is released")


class ReplayWithoutWorker(unittest.TestCase):
    def test_says_that_nobody_answers(self):
        with System() as system, trace_file(["0,react,1,1,1\n"]) as trace:
            system.workers[0].stop()
            result = system.cli("replay", "-o", "pool.timeout_ms=1", "--json", trace.name)
        self.assertEqual(result.returncode, 1)
        self.assertIn("no worker answered", result.stderr)
        self.assertEqual(result.stdout, "")


class Accept(unittest.TestCase):
    def test_partitions_that_are_well_are_left_alone(self):
        with System() as system:
            client = Client(system)
            client.acquire("r-1")
            result = system.cli("accept", "container-acquire")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(result.stdout.count("left alone"), 2, result.stdout)
            self.assertEqual(client.acquire("r-2")["status"], "assigned")


if __name__ == "__main__":
    unittest.main()
