"""Events that a function fails on, answers that cannot be published, topics that are made anew, workers that come and go."""
import json
import unittest

from confluent_kafka.admin import AdminClient, NewTopic
from load import Client, Load, chaos_system, dead_letters, reason, wait_until
from system import ROOT, WAIT_LIMIT


def cache_library(body):
    """The cache's library with a higher revision, and `body` before its topic function is called with (keys, args)."""
    text = "".join((ROOT / "redis" / name).read_text() + "\n" for name in ("frame.lua", "bulk.lua", "delivery.lua", "cache_store.lua", "cache_eviction.lua",
                                                                            "cache.lua", "cache_library.lua"))
    assert "delivery.call(keys, args, topic)" not in body
    return "#!lua name=wp_cache_v2\n-- revision 9999\n" + text.replace("function delivery.call(keys, args, topic)",
        "local real_call\nfunction delivery.call(keys, args, topic)\n" + body + "\nreturn real_call(keys, args, topic)\nend\n"
        "function real_call(keys, args, topic)")


def send_sets(client, count, value="v"):
    for number in range(count):
        client.producer.produce(client.system.prefix + "cache", json.dumps(
            {"event_id": f"e{number}", "op": "set", "namespace": "tool", "key": f"k{number}", "value": value}), key="tool")
    assert not client.producer.flush(WAIT_LIMIT)


class PoisonousEvents(unittest.TestCase):
    def failing(self, body):
        with chaos_system() as system:
            system.redis.client.execute_command("FUNCTION", "LOAD", "REPLACE", cache_library(body))
            client = Client(system)
            send_sets(client, 200)
            wanted = {f"e{number}" for number in range(200)} - {"e57"}

            def answered():  # an answer may come twice
                return {answer["event_id"] for answer in client.read("cache-result")}
            wait_until(lambda: answered() >= wanted, lambda: f"not answered: {wanted - answered()}")
            client.wait("dead-letter")
            reasons = dead_letters(system, client)
            self.assertEqual(len(reasons), 1, reasons)
            dead = client.read("dead-letter")[0]
            self.assertEqual(json.loads(dead.raw)["key"], "k57")
            self.assertEqual(dead.headers["topic"].decode(), system.prefix + "cache")
            self.assertEqual(answered(), wanted)
            client.send("cache", {"event_id": "last", "op": "get", "namespace": "tool", "key": "k1"}, wire="json")
            client.wait("cache-result", lambda record: record["event_id"] == "last")
            self.assertLess(len(client.read("cache-result")), 450, "answers are not published over and over")
            return reasons[0]

    def test_an_event_that_its_function_fails_on_goes_to_dead_letter(self):
        reason = self.failing("""
            for i = 5, #args, 5 do
                local _, _, keys = cmsgpack.unpack(args[i]) -- columns of redis/README.md; a skip has none
                for _, key in ipairs(keys or {}) do if key == 'k57' then error('poison') end end
            end""")
        self.assertIn("the function failed on this event", reason)

    def test_an_answer_that_cannot_be_read_goes_to_dead_letter(self):
        reason = self.failing("""
            local real_apply = topic.apply
            local function spoil(record, offset) -- columns: kind, offsets, how each is answered
                for n, of in ipairs(record[2]) do if of == offset then record[3][n] = 99 end end
            end
            topic = {batch = topic.batch, reread = topic.reread, apply = function(batches, ...)
                local lists, applied = real_apply(batches, ...)
                for k, b in ipairs(batches) do
                    for i = b.first, #b.keys do
                        if b.keys[i] == 'k57' and lists[k] then
                            spoil(lists[k][lists[k].n], b.offsets[i])
                            local stored = lists[k].stored -- nil when all of it is stored as it is
                            if stored then spoil(stored.record, b.offsets[i]) end
                        end
                    end
                end
                return lists, applied
            end}""")
        self.assertIn("not those of this convention", reason)


class TooLarge(unittest.TestCase):
    OPTIONS = {"kafka__message.max.bytes": 20000, "cache__max_value_bytes": 500000}

    def test_an_answer_that_kafka_does_not_take_beside_its_key_has_the_id_as_its_key(self):
        with chaos_system(**self.OPTIONS) as system:
            client = Client(system)
            # A small limit is the worker's own: what is sent may be larger.
            for number, size in enumerate((18000, 19950, 19990)):
                client.send("cache", {"event_id": f"g{number}", "op": "get", "namespace": "tool", "key": "none"}, wire="json", key=b"k" * size)
                client.send("container-acquire", {"request_id": f"r{number}", "agent_id": "a", "philosophy": "react"}, wire="json",
                            key=b"k" * size)
                answers = (client.wait("cache-result", lambda record: record["event_id"] == f"g{number}"),
                           client.wait("container-assignment", lambda record: record["request_id"] == f"r{number}"))
                for answer, name in zip(answers, (f"g{number}", f"r{number}")):
                    self.assertEqual(answer.key, b"k" * size if size == 18000 else name.encode())
            self.assertEqual(dead_letters(system, client), [])

    def test_a_dead_letter_that_kafka_does_not_take_is_cut(self):
        with chaos_system(**self.OPTIONS) as system:
            client = Client(system)
            client.send_raw("cache", b"{" + b"x" * 100000, key=b"k" * 1000, headers={"mine": b"y" * 30000})
            dead = client.wait("dead-letter")
            self.assertEqual(dead.headers["cut_from"], b"100001")
            self.assertTrue(dead.raw.startswith(b"{xxx") and 9000 < len(dead.raw) < 20000, len(dead.raw))
            client.send("cache", {"event_id": "next", "op": "get", "namespace": "tool", "key": "none"}, wire="json")
            client.wait("cache-result", lambda record: record["event_id"] == "next")


class TopicMadeAnew(unittest.TestCase):
    def test_it_stops_and_says_so_until_it_is_accepted(self):
        with chaos_system() as system:
            client = Client(system)
            send_sets(client, 50)
            client.wait_all("cache-result", count=50)
            admin, name = AdminClient({"bootstrap.servers": system.kafka.bootstrap}), system.prefix + "cache"
            admin.delete_topics([name])[name].result(WAIT_LIMIT)
            wait_until(lambda: name not in admin.list_topics(timeout=WAIT_LIMIT).topics, "the topic is gone")
            admin.create_topics([NewTopic(name, 2, 1)])[name].result(WAIT_LIMIT)
            worker = system.workers[0]
            wait_until(lambda: worker.start_if_its_library_crashed() or "warmpool accept cache" in reason(worker),
                       lambda: f"it says so: {worker.http('/readyz')} {worker.log()[-3000:]}")
            self.assertIn("made anew", reason(worker))
            accepted = system.cli("accept", "cache")
            self.assertEqual(accepted.returncode, 0, accepted.stderr)
            wait_until(lambda: worker.start_if_its_library_crashed() or worker.http("/readyz")[0] == 200, "it is ready")
            later = Client(system)
            later.send("cache", {"event_id": "anew", "op": "get", "namespace": "tool", "key": "k1"}, wire="json")
            client.wait("cache-result", lambda record: record["event_id"] == "anew")


class ComesAndGoes(unittest.TestCase):
    def test_a_stop_under_load_finishes_what_is_under_way_and_loses_nothing(self):
        with chaos_system(worker__id="one", worker__stop_timeout_ms=100000) as system:
            load = Load(system).send(2000).wait_answered(300)
            self.assertEqual(system.workers[0].stop(), 0)
            self.assertNotIn("event=stop_timeout", system.workers[0].log())
            load.send(300)
            system.workers[0].start().wait_ready()
            load.wait_answered().check()
            self.assertEqual(load.statuses(), {"assigned": 2300})
            self.assertEqual(load.repeats, 0, "what was answered was committed")

    def test_a_second_worker_comes_and_goes_under_load(self):
        with chaos_system(workers=2, worker__stop_timeout_ms=100000) as system:
            for number, worker in enumerate(system.workers):
                worker.options["worker.id"] = f"member-{number}"
            load = Load(system)
            for _ in range(3):
                load.send(600).wait_answered(len(load.answers) + 100)
                self.assertEqual(system.workers[1].stop(), 0)
                load.send(200).wait_answered(len(load.answers) + 100)
                system.workers[1].start().wait_ready()
            load.wait_answered().check()
            self.assertEqual(load.statuses(), {"assigned": 2400})


if __name__ == "__main__":
    unittest.main()
