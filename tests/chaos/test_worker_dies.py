"""Workers that die, come and go under load: every acquire has one answer, nothing is lost or done twice."""
import unittest
from pathlib import Path

from load import Load, chaos_system, stats, wait_until


SECONDS = "86417"  # an argument that only this test's containers have


def containers():
    """The processes of this test's containers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == f"sleep\0{SECONDS}\0".encode():
                found.append(path.parent.name)
        except OSError:  # it has just ended
            pass
    return found


class WorkerDies(unittest.TestCase):
    def test_kill_in_the_middle_and_the_same_host_comes_back(self):
        with chaos_system(worker__id="first", process__command=f"exec sleep {SECONDS}") as system:
            load = Load(system).send(2000).wait_answered(300)
            self.assertTrue(containers())
            system.workers[0].kill()
            wait_until(lambda: not containers(), lambda: f"containers end with their worker: {containers()}")
            load.send(500)
            system.workers[0].start().wait_ready()
            load.wait_answered().check()
            self.assertEqual(load.statuses(), {"assigned": 2500})
            self.assertEqual(system.workers[0].stop(), 0)
            self.assertEqual(containers(), [])

    def test_kill_and_another_host_takes_over(self):
        with chaos_system(workers=2) as system:
            load = Load(system).send(2000).wait_answered(300)
            system.workers[0].kill()
            load.send(500).wait_answered().check()
            self.assertEqual(load.statuses(), {"assigned": 2500})
            wait_until(lambda: "w1" not in stats(system)["hosts"], "the dead host is forgotten")


if __name__ == "__main__":
    unittest.main()
