"""Workers that die, come and go under load: every acquire has one answer, nothing is lost or done twice."""
import unittest

from load import Load, chaos_system, stats, wait_until


class WorkerDies(unittest.TestCase):
    def test_kill_in_the_middle_and_the_same_host_comes_back(self):
        with chaos_system(worker__id="first") as system:
            load = Load(system).send(2000).wait_answered(300)
            system.workers[0].kill()
            load.send(500)
            system.workers[0].start().wait_ready()
            load.wait_answered().check()
            self.assertEqual(load.statuses(), {"assigned": 2500})

    def test_kill_and_another_host_takes_over(self):
        with chaos_system(workers=2) as system:
            load = Load(system).send(2000).wait_answered(300)
            system.workers[0].kill()
            load.send(500).wait_answered().check()
            self.assertEqual(load.statuses(), {"assigned": 2500})
            wait_until(lambda: "w1" not in stats(system)["hosts"], "the dead host is forgotten")


if __name__ == "__main__":
    unittest.main()
