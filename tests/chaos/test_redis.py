"""A Redis that is away, stuck, full, read-only, forgetful or older than it was."""
import os
import shutil
import signal
import time
import unittest

from load import OPTIONS, Load, chaos_system, check_away_at_start, reason, stats, wait_committed, wait_reason, wait_until
from system import pause


class RedisAway(unittest.TestCase):
    def test_not_there_at_start(self):
        with chaos_system(start=False) as system:
            check_away_at_start(system, system.redis.kill, system.redis.start, "redis.url")

    def test_no_worker_is_ready_before_it_has_loaded_its_functions(self):
        with chaos_system() as system:  # so that its topics are there, and Kafka is quick
            worker = system.workers[0]
            worker.stop()
            worker.options["host.name"] = ""  # with a name it joins nothing before it has asked Redis for that
            pause(system.redis.process.pid)
            seen = set()

            def kafka_is_ready():
                seen.add(worker.http("/readyz")[0])
                return "event=kafka_ready" in worker.log()
            worker.start()
            wait_until(kafka_is_ready, worker.log)
            seen.add(worker.http("/readyz")[0])
            system.redis.process.send_signal(signal.SIGCONT)
            self.assertNotIn(200, seen)
            worker.wait_ready()

    def away(self, stop, back):
        with chaos_system() as system:
            load = Load(system).send(1500).wait_answered(200)
            stop(system.redis)
            load.send(300)
            wait_reason(system.workers[0], "Redis at unix://")
            load.wait_sent()
            back(system.redis)
            load.wait_answered()
            system.workers[0].wait_ready()
            load.check()
            self.assertEqual(load.statuses(), {"assigned": 1800})

    def test_stopped_and_started_again(self):
        def stop(server):
            server.process.terminate()
            server.process.wait()
        self.away(stop, lambda server: server.start())

    def test_killed_and_started_again(self):
        self.away(lambda server: server.kill(), lambda server: server.start())

    def test_silent_beyond_the_timeout(self):
        OPTIONS["redis.timeout_ms"] = 1000
        self.addCleanup(OPTIONS.pop, "redis.timeout_ms")
        self.away(lambda server: pause(server.process.pid), lambda server: server.process.send_signal(signal.SIGCONT))

    def test_requests_past_their_timeout_are_rejected_when_it_is_back(self):
        with chaos_system() as system:
            Load(system).send(1).wait_answered()
            system.redis.kill()
            wait_reason(system.workers[0], "Redis at unix://")
            load = Load(system, timeout_ms=1).send(100).wait_sent()
            system.redis.start()
            load.wait_answered().check(counters=False)
            self.assertEqual(load.statuses(), {"rejected timeout": 100})

    def test_an_outage_longer_than_heartbeats_last_is_not_the_death_of_hosts(self):
        with chaos_system(host__ttl_ms=5000) as system:
            leased = Load(system, release=False).send(10).wait_answered()
            system.redis.kill()
            back_at = time.monotonic() + 15
            wait_reason(system.workers[0], "Redis at unix://")
            wait_until(lambda: time.monotonic() >= back_at, lambda: "time to pass")
            system.redis.start()
            system.workers[0].wait_ready()
            heard_until = time.monotonic() + 8  # more than the heartbeats last
            while time.monotonic() < heard_until:
                self.assertEqual(set(Load(system).send(20).wait_answered().statuses()), {"assigned"})
            leased.pump()
            self.assertEqual(leased.lost, [])
            self.assertGreaterEqual(stats(system)["total"]["leased"], 10)
            self.assertEqual(stats(system)["total"]["lost"], 0)


class RedisRefuses(unittest.TestCase):
    def refused(self, refuse, accept, answer):
        with chaos_system() as system:
            load = Load(system).send(500).wait_answered(100)
            refuse(system.redis.client)
            load.send(500)
            wait_until(lambda: answer in system.workers[0].log(), lambda: f"{answer} in {load.logs()}")
            accept(system.redis.client)
            load.wait_answered().check()
            self.assertEqual(load.statuses(), {"assigned": 1000})

    def test_no_memory_left(self):
        self.refused(lambda redis: redis.config_set("maxmemory", "1mb"), lambda redis: redis.config_set("maxmemory", "1gb"), "OOM")

    def test_read_only_as_a_replica(self):
        def refuse(redis):
            redis.config_set("replica-serve-stale-data", "yes")
            redis.replicaof("127.0.0.1", "1")
        self.refused(refuse, lambda redis: redis.replicaof("NO", "ONE"), "READONLY")

    def test_replicas_missing(self):
        self.refused(lambda redis: redis.config_set("min-replicas-to-write", "1"),
                     lambda redis: redis.config_set("min-replicas-to-write", "0"), "NOREPLICAS")

    def test_snapshots_that_fail(self):
        def refuse(redis):
            os.mkdir(os.path.join(redis.config_get("dir")["dir"], "dump.rdb"))
            redis.config_set("save", "3600 1000000")
            redis.bgsave()
            wait_until(lambda: redis.info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot fails")
        self.refused(refuse, lambda redis: redis.config_set("save", ""), "MISCONF")


class RedisForgot(unittest.TestCase):
    def forgets(self, forget):
        with chaos_system() as system:
            load = Load(system).send(500).wait_answered().check()
            wait_committed(system)
            forget(system)
            load.send(200).wait_answered()
            system.workers[0].wait_ready()
            load.check(counters=False)
            self.assertIn("event=state_recovered", system.workers[0].log())

    def test_while_the_worker_runs(self):
        self.forgets(lambda system: system.redis.client.flushall())

    def test_while_the_worker_is_stopped(self):
        def forget(system):
            self.assertEqual(system.workers[0].stop(), 0)
            system.redis.client.flushall()
            system.workers[0].start()
        self.forgets(forget)

    def test_an_older_state_is_brought_up_to_date(self):
        # Applied again, a request may get another container than its release names. Such leases end by themselves, or nobody else would get one.
        with chaos_system() as system:
            load = Load(system, lease_ms=10000).send(500).wait_answered()
            copy = system.redis.dir + "/older"
            shutil.copytree(system.redis.dir + "/appendonlydir", copy)
            load.send(500).wait_answered()
            load.wait_sent()
            wait_committed(system)
            system.redis.kill()
            shutil.rmtree(system.redis.dir + "/appendonlydir")
            shutil.move(copy, system.redis.dir + "/appendonlydir")
            system.redis.start()
            wait_until(lambda: "event=partition_restarted" in system.workers[0].log(), lambda: system.workers[0].log()[-2000:])
            later = Load(system).send(200)
            later.wait_answered()
            system.workers[0].wait_ready()
            self.assertFalse(reason(system.workers[0]))


if __name__ == "__main__":
    unittest.main()
