"""What an agent leaves in its container is not there for the next one (pool.clean), with a real Docker engine."""
import shutil
import tempfile

from docker_system import WithDocker, engine, inspect, main
from system import wait_until

PROCESSES = "for each in /proc/[0-9]*; do [ $each = /proc/$$ ] || cat $each/comm; done; true"
READ_CLAIMS = "while :; do cat /run/warmpool/claim.json >> /tmp/stolen 2>/dev/null; sleep 0.01; done"


class Leaving(WithDocker):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="warmpool-claims-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.options = {"host.claims": folder, "pool.clean.dirty": "false", "pool.hot.paused": 0}
        super().setUpClass()

    def shell(self, container, script):
        """What it begins outlives the terminal that it has here."""
        return self.inside(container, "sh", "-c", "trap '' HUP; " + script)

    def back(self, request, philosophy):
        """Released, and idle again."""
        self.release(request, philosophy)
        self.system.wait_pool(philosophy, available=1, leased=0)

    def test_nothing_that_one_agent_left_is_there_for_the_next(self):
        first = self.acquire("n-1", "plain")["container_id"]
        self.shell(first, "i=0; while [ $i -lt 115 ]; do (setsid sleep 3000 &); i=$((i+1)); done; "
                          "echo x > /tmp/.hidden; mkdir /tmp/none; echo x > /tmp/none/f; chmod 000 /tmp/none; echo x > /dev/shm/x")
        self.back("n-1", "plain")
        second = self.acquire("n-2", "plain")
        self.assertEqual((second["container_id"], second["warm_start"]), (first, True))
        self.assertEqual(self.shell(first, PROCESSES), "init\nsleep\n")
        self.assertEqual(self.shell(first, "ls -A1 /tmp /dev/shm"), "/dev/shm:\n\n/tmp:\n")
        self.assertEqual(self.shell(first, "for i in 1 2 3 4 5 6 7 8 9; do sleep 0.1 & done; wait; echo well"), "well\n")

    def test_a_process_that_stayed_does_not_read_the_next_claim(self):
        first = self.acquire("c-1", "claims", claim={"token": "of the first"})["container_id"]
        self.shell(first, f"(setsid sh -c \"{READ_CLAIMS}\" &)")
        wait_until(lambda: "of the first" in self.shell(first, "cat /tmp/stolen"), "it reads the claims")
        self.back("c-1", "claims")
        second = self.acquire("c-2", "claims", claim={"token": "of the second"})
        self.assertEqual(second["container_id"], first)
        self.assertIn("of the second", self.shell(first, "cat /run/warmpool/claim.json"))
        self.assertEqual(self.shell(first, PROCESSES), "init\nsleep\n")
        self.assertEqual(self.shell(first, "ls -A /tmp"), "")

    def test_one_that_cannot_be_cleaned_is_destroyed_and_not_handed_out(self):
        first = self.acquire("d-1", "doomed")["container_id"]
        engine("run-as", "0", first, "touch", "/tmp/of-root")
        self.release("d-1", "doomed")
        wait_until(lambda: inspect(first) is None, "it is gone")
        self.assertIn("not_prepared: it could not be cleaned: /tmp has a file that cannot be removed", self.system.workers[0].log())
        self.assertNotEqual(self.acquire("d-2", "doomed")["container_id"], first)

    def test_a_worker_that_was_restarted_cleans(self):
        first = self.acquire("w-1", "restarted")["container_id"]
        self.shell(first, "(setsid sleep 3000 &); echo x > /tmp/left")
        worker = self.system.workers[0]
        worker.kill()
        worker.start().wait_ready()
        self.back("w-1", "restarted")
        self.assertEqual(self.acquire("w-2", "restarted")["container_id"], first)
        self.assertEqual(self.shell(first, PROCESSES), "init\nsleep\n")
        self.assertEqual(self.shell(first, "ls -A /tmp"), "")

    def test_paused_ones_are_cleaned_before_they_are_paused(self):
        first = self.acquire("p-1", "paused")["container_id"]
        self.shell(first, "echo x > /tmp/left")
        self.back("p-1", "paused")
        wait_until(lambda: inspect(first)["State"]["Paused"], "it is paused")
        self.assertEqual(self.acquire("p-2", "paused")["container_id"], first)
        self.assertEqual(self.shell(first, "ls -A /tmp"), "")

    def test_without_it_what_is_left_stays(self):
        first = self.acquire("f-1", "dirty")["container_id"]
        self.shell(first, "echo x > /tmp/left")
        self.back("f-1", "dirty")
        self.assertEqual(self.acquire("f-2", "dirty")["container_id"], first)
        self.assertEqual(self.shell(first, "ls -A /tmp"), "left\n")


if __name__ == "__main__":
    main()
