"""Docker engines that are killed, for good or for a while, with containers in use and acquires on their way."""
import json
import unittest

from docker_load import docker_system, expect_whole, known, listed
from load import Load, decode, stats, wait_until
from own_engine import OwnEngine, need_engine


def somebody_elses(engine):
    """A container with a name like ours and one of our labels."""
    name = "wp-react-1234567890123456"
    body = {"Image": "warmpool-test:1", "Cmd": ["sleep", "100000"], "Labels": {"io.warmpool.host": "w1", "io.warmpool.pool": "react"}}
    engine.run("post", f"/containers/create?name={name}", json.dumps(body))
    engine.run("post", f"/containers/{name}/start")
    return name


def expect_nothing_recovered(system):
    """An engine that was away for a while is no loss of Redis' data, and no worker says that it is."""
    for worker in system.workers:
        said = [line for line in worker.log().splitlines() if "recovery_started" in line or "state_recovered" in line or "partition_forgotten" in line]
        assert not said, said


class EngineKilled(unittest.TestCase):
    def killed_under_load(self, *options):
        engine = OwnEngine(*options)
        self.addCleanup(engine.close)
        with docker_system(docker__url=engine.url, host__on_exit="destroy") as system:
            held = Load(system, ("held",), release=False).send(2).wait_answered()
            load = Load(system, discard=3).send(40).wait_answered(15)
            foreign = somebody_elses(engine)
            engine.kill()
            wait_until(lambda: "event=engine_events_lost" in system.workers[0].log(), load.logs)
            load.send(20).pump()
            engine.start()
            load.send(20).wait_answered()
            yield held
            load.check(counters=False)
            self.assertEqual(load.statuses(), {"assigned": 80})
            expect_whole(system, {"w1": engine.run})
            expect_nothing_recovered(system)
            self.assertIn(foreign, listed(engine.run, "io.warmpool.host=w1"))
            system.workers[0].stop()
            self.assertEqual(list(listed(engine.run, "io.warmpool.host=w1")), [foreign])

    def test_one_that_ends_its_containers_when_it_is_back_and_their_holders_are_told(self):
        for held in self.killed_under_load():
            wait_until(lambda: len(held.pump().lost) == 2, lambda: f"both leases are lost: {held.lost} {held.logs()}")
            self.assertEqual({record["request_id"] for record in held.lost}, set(held.sent))

    def test_one_that_lets_its_containers_live_and_no_lease_is_lost(self):
        for held in self.killed_under_load("--live-restore"):
            self.assertEqual(held.pump().lost, [])
            for request in held.sent:
                held.give_back(request)


class TwoEngines(unittest.TestCase):
    def test_each_has_its_own_and_one_that_is_away_does_not_stop_the_other(self):
        engines = [OwnEngine(), OwnEngine()]
        for engine in engines:
            self.addCleanup(engine.close)
        with docker_system(workers=2, start=False) as system:
            for worker, engine in zip(system.workers, engines):
                worker.options["docker.url"] = engine.url
            system.start()
            runs = {worker.name: engine.run for worker, engine in zip(system.workers, engines)}
            load = Load(system, discard=2).send(40).wait_answered()
            self.assertEqual({decode("container-assignment", answer)["host"] for answer in load.answers.values()}, set(runs))
            load.check()
            expect_whole(system, runs)
            for worker, engine in zip(system.workers, engines):
                self.assertEqual(listed(engine.run), listed(engine.run, f"io.warmpool.host={worker.name}"))
            engines[0].kill()
            wait_until(lambda: "event=engine_events_lost" in system.workers[0].log(), load.logs)
            load.send(40).wait_answered()
            engines[0].start()
            load.send(20).wait_answered().check(counters=False)
            self.assertEqual(load.statuses(), {"assigned": 100})
            expect_whole(system, runs)
            expect_nothing_recovered(system)


class EngineHangs(unittest.TestCase):
    def test_nobody_gets_its_idle_ones_until_it_answers_again(self):
        engines = [OwnEngine(), OwnEngine()]
        for engine in engines:
            self.addCleanup(engine.close)
        with docker_system(workers=2, start=False, pool__max_containers=8) as system:
            for worker, engine in zip(system.workers, engines):
                worker.options["docker.url"] = engine.url
            system.start()
            first = system.workers[0]
            Load(system, release=False).send(8).wait_answered().give_back_held()
            wait_until(lambda: stats(system)["total"]["available"] == 8, "all are idle")
            engines[0].freeze()
            wait_until(lambda: "event=host_away" in first.log(), "it is missed")
            status, text = first.http("/readyz")
            self.assertEqual((status, text.split(": ")[0]), (503, "host"), text)
            wait_until(lambda: stats(system)["total"]["available"] == len(known(system, system.workers[1].name)), "its idle ones are set aside")
            held = Load(system, release=False).send(4).wait_answered()
            self.assertEqual({decode("container-assignment", answer)["host"] for answer in held.answers.values()}, {system.workers[1].name})
            engines[0].thaw()
            wait_until(lambda: "event=host_back" in first.log(), "it is back")
            wait_until(lambda: first.http("/readyz")[0] == 200, "it is ready")
            held.give_back_held()
            expect_whole(system, {worker.name: engine.run for worker, engine in zip(system.workers, engines)})
            expect_nothing_recovered(system)


if __name__ == "__main__":
    need_engine()
    unittest.main()
