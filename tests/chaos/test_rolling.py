"""Workers that are replaced one by one under load: nobody is rejected for it, and who loses a container is told."""
import unittest

from docker_load import docker_system, expect_whole
from docker_system import engine, main, runs
from load import Load, dead_letters, decode, stats, wait_until

TIMEOUT = {"timeout_ms": 30000}  # of an acquire: the default


def container_of(answer):
    return decode("container-assignment", answer)["container_id"]


def host_of(answer):
    return decode("container-assignment", answer)["host"]


class Rolling(unittest.TestCase):
    def start(self, **options):
        system = docker_system(workers=2, worker__stop_timeout_ms=100000, **options)
        self.addCleanup(engine, "clean", f"io.warmpool.prefix=wp/{system.prefix}")
        self.addCleanup(system.close)
        return system

    def held_on_both(self, system):
        held = Load(system, ("held",), release=False)
        while len({host_of(answer) for answer in held.answers.values()}) < 2:
            held.send(1).wait_answered()
        return held

    def roll(self, system, load, away=None):
        """Stops each worker under load, and starts it again when all was answered without it."""
        for worker in system.workers:
            load.send(12)
            wait_until(lambda: stats(system)["hosts"][worker.name]["used"] and load.answered() % 12, load.logs)
            self.assertEqual(worker.stop(), 0)
            load.send(12).wait_answered()
            if away:
                away(worker)
            worker.start().wait_ready()
            load.send(6)
        load.wait_answered()

    def finish(self, system, held, load):
        for request in held.sent:
            if container_of(held.answers[request]) in held.held:
                held.give_back(request)
        load.check(counters=False)
        expect_whole(system, {worker.name: engine for worker in system.workers})
        self.assertEqual(load.statuses(), {"assigned": len(load.sent)})
        self.assertEqual(dead_letters(system), [])

    def test_containers_are_kept_and_no_lease_is_lost(self):
        system = self.start()
        held = self.held_on_both(system)
        load = Load(system, ("react", "reflexion", "planning"), discard=2, **TIMEOUT)
        self.roll(system, load)
        self.assertEqual(held.pump().lost + load.lost, [])
        for answer in held.answers.values():
            self.assertTrue(runs(container_of(answer)))
        self.finish(system, held, load)

    def test_paused_ones_of_a_host_that_is_away_are_not_waited_for(self):
        system = self.start(pool__hot=0)
        held = self.held_on_both(system)
        load = Load(system, ("react",), **TIMEOUT)
        load.send(4).wait_answered()
        self.roll(system, load)
        for request in held.sent:
            held.give_back(request)
        self.assertEqual(load.statuses(), {"assigned": len(load.sent)})
        self.assertEqual(held.pump().lost + load.lost, [])

    def test_with_destroy_the_holders_are_told_at_once(self):
        system = self.start(host__on_exit="destroy")
        held = self.held_on_both(system)
        load = Load(system, ("react", "reflexion"), discard=2, **TIMEOUT)

        def told(worker):
            wanted = {request for request, answer in held.answers.items() if host_of(answer) == worker.name}
            wait_until(lambda: wanted <= {record["request_id"] for record in held.pump().lost}, lambda: f"{wanted} {held.lost}")
        self.roll(system, load, told)
        self.assertEqual({record["reason"].split(":")[0] for record in held.lost}, {"host_down"})
        self.assertEqual({record["request_id"] for record in held.lost}, set(held.sent))
        self.finish(system, held, load)

    def test_one_that_does_not_come_back_in_time_is_given_up(self):
        system = self.start(host__keep_ms=4000, host__ttl_ms=2000)
        held = self.held_on_both(system)
        load = Load(system, ("react",), discard=2, **TIMEOUT)
        load.send(8).wait_answered()
        worker, lost = system.workers[0], set()
        for request, answer in held.answers.items():
            if host_of(answer) == worker.name:
                lost.add(request)
        self.assertEqual(worker.stop(), 0)
        wait_until(lambda: {record["request_id"] for record in held.pump().lost} == lost, lambda: f"{lost} {held.lost}")
        load.send(8).wait_answered()
        worker.start().wait_ready()
        self.finish(system, held, load)


if __name__ == "__main__":
    main()
