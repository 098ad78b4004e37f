"""`warmpool hosts`: which hosts there are, and one that never returns is given up."""
import json
import re
import unittest

from client import Client
from system import System, wait_until


class Hosts(unittest.TestCase):
    def setUp(self):
        # Nobody takes a host for silent while a test runs.
        self.system = System(workers=2, start=False, options={"host.ttl_ms": 600000})
        self.addCleanup(self.system.close)
        self.first, self.second = self.system.workers
        self.first.start().wait_ready()
        self.client = Client(self.system)

    def hosts(self):
        return json.loads(self.system.cli("hosts", "--json").stdout)["hosts"]

    def both_with_a_lease_on_the_first(self):
        wait_until(lambda: self.hosts().get("w1", {}).get("state") == "up", "the first host is up")
        answer = self.client.acquire("r1")
        self.assertEqual((answer["status"], answer["host"]), ("assigned", "w1"))
        self.second.start().wait_ready()
        wait_until(lambda: self.hosts().get("w2", {}).get("state") == "up", "the second host is up")

    def give_up(self, *options):
        return self.system.cli("hosts", *options, "forget", "w1")

    def test_they_are_listed_with_what_they_have_and_where_their_workers_run(self):
        self.both_with_a_lease_on_the_first()
        first = self.hosts()["w1"]
        self.assertEqual(first["containers"], {"leased": 1})
        self.assertEqual((first["runtime"], first["used"], first["alive"]), ("process", 1, True))
        self.assertIn(f"pid {self.first.process.pid} on", first["worker"])
        text = self.system.cli("hosts").stdout
        self.assertRegex(text, rf"w1 +up +process +0 +1 +0 .* pid {self.first.process.pid} on")
        self.assertRegex(text, rf"w2 +up +process +0 +0 +0 .* pid {self.second.process.pid} on")
        self.assertRegex(self.system.cli("hosts", "show", "w1").stdout, r"wp-react-\d+ +react +leased +r1")

    def test_one_that_is_alive_is_not_given_up_and_one_that_died_is(self):
        self.both_with_a_lease_on_the_first()
        refused = self.give_up()
        self.assertEqual(refused.returncode, 1)
        self.assertRegex(refused.stderr, rf"w1 is not forgotten, because it is alive: its worker is pid {self.first.process.pid} on .*stop")
        self.assertEqual(self.hosts()["w1"]["containers"], {"leased": 1})
        self.first.kill()
        wait_until(lambda: not self.hosts()["w1"]["alive"], "its name is held no more")
        given_up = self.give_up()
        self.assertEqual(given_up.returncode, 0, given_up.stderr)
        self.assertIn("w1 is forgotten: leases lost: 1", given_up.stdout)
        lost = self.client.wait("container-assignment", lambda r: r["request_id"] == "r1" and r["status"] == "lost")
        self.assertRegex(lost["reason"], "^host_forgotten: the host w1 was given up")
        self.assertNotIn("w1", self.hosts())
        self.assertRegex(self.system.cli("hosts").stdout, r"w1 +gone +\d+ s ago")
        again = self.give_up()
        self.assertEqual((again.returncode, again.stderr), (0, ""))
        self.assertIn("does not know a host w1", again.stdout)
        self.comes_back()

    def comes_back(self):
        self.first.start().wait_ready()
        wait_until(lambda: self.hosts().get("w1", {}).get("state") == "up", "it is a host again")
        self.assertNotRegex(self.first.log() + self.second.log(), "(?i)redis ha[sd] forgotten|remembers nothing")

    def test_without_a_worker_it_says_that_it_is_not_done_and_the_next_worker_does_it(self):
        wait_until(lambda: "w1" in self.hosts(), "the host is known")
        self.client.acquire("r1")
        self.first.kill()
        # Redis' time of heartbeats stands still while nobody calls: the host is alive until a worker has run for some seconds.
        self.second.start().wait_ready()
        wait_until(lambda: not self.hosts()["w1"]["alive"], "its name is held no more")
        self.second.kill()
        waiting = self.give_up("--timeout", "0.3")
        self.assertEqual(waiting.returncode, 1)
        self.assertIn("no worker has forgotten the host w1 within", waiting.stderr)
        self.second.start().wait_ready()
        self.client.wait("container-assignment", lambda r: r["request_id"] == "r1" and r["status"] == "lost")
        wait_until(lambda: "w1" not in self.hosts(), "it is forgotten")

    def test_wrong_arguments_are_named(self):
        unknown = self.system.cli("hosts", "show", "w9")
        self.assertEqual((unknown.returncode, unknown.stdout), (1, ""))
        self.assertIn("does not know a host w9; `warmpool hosts` lists those", unknown.stderr)
        for words, message in ((("forget",), "needs the name"), (("lose", "w1"), "show and forget are"), (("--timeout", "x"), "--timeout must be")):
            wrong = self.system.cli("hosts", *words)
            self.assertEqual(wrong.returncode, 2, words)
            self.assertRegex(wrong.stderr, re.escape(message))


class Silent(unittest.TestCase):
    def test_one_is_not_called_alive_that_nobody_has_heard_of_while_no_worker_ran(self):
        with System(options={"host.ttl_ms": 1000}) as system:
            system.workers[0].kill()

            def host():
                return json.loads(system.cli("hosts", "--json").stdout)["hosts"]["w1"]
            wait_until(lambda: host()["heartbeat_ms"] > host()["ttl_ms"], "it has been silent for long enough")
            refused = system.cli("hosts", "forget", "w1")
            self.assertEqual(refused.returncode, 1)
            self.assertRegex(refused.stderr, "not known to be dead: its worker is pid .* when that worker has ended, start another one")


if __name__ == "__main__":
    unittest.main()
