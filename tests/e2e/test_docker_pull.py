"""docker.pull: which images a host has its engine pull, and when. The registry is a real one on loopback."""
import datetime
import re
import time

from docker_system import engine, inspect
from registry import WithRegistry, id_of, is_there, main
from system import stays, wait_until


def seconds(text):
    """Of a time in ISO 8601, whatever its digits of a second."""
    return datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z|Z$", r"\1+00:00", text)).timestamp()


class Missing(WithRegistry):
    options = {"docker.pull": "missing", "pool.min_idle.react": 2, "metrics.interval": 1}

    @classmethod
    def choose(cls):
        cls.image = cls.registry.push("agents/react:1", size=4000000)
        cls.registry.gate.hold(2000000)  # something of the layer
        return {"docker.image.react": cls.image}

    def test_requests_wait_while_it_is_pulled_and_go_on_at_once_when_it_is_there(self):
        self.line("image_pull_started")
        late = self.acquire("late", timeout_ms=6000)
        self.assertEqual(late["status"], "rejected")
        self.assertRegex(late["reason"], rf"^timeout: no host has the image of its containers; of w1: the image {self.image} is being pulled \(\d+ %\); requests that waited before it: 0$")
        record = self.client.wait("metrics", lambda r: any(w["code"] == "image_missing" for w in r["warnings"]))
        warning = next(w for w in record["warnings"] if w["code"] == "image_missing")
        self.assertEqual(warning["subject"], "react")
        self.assertIn(f"host w1: the image {self.image} is being pulled", warning["message"])
        self.assertEqual((self.figure("warmpool_images_missing"), self.figure("warmpool_images_pulling")), (1, 1))
        self.assertGreater(self.figure("warmpool_image_pull_bytes_total"), 0)
        self.assertEqual(self.acquire("other", "other")["status"], "assigned")
        self.client.send("container-acquire", {"request_id": "waits", "agent_id": "a", "philosophy": "react", "timeout_ms": 100000})
        self.registry.gate.open()
        given = self.answer("waits")
        self.assertEqual((given["status"], given["image"].partition("@")[0]), ("assigned", self.image))
        pulled = self.line("image_pulled")
        self.assertIn(f"image={self.image} newer=yes", pulled)
        begun = seconds(inspect(given["container_id"])["Created"]) - seconds(re.match(r"ts=(\S+)", pulled)[1])
        print(f"its container was begun {1000 * begun:.0f} ms after the image had come")
        self.assertLess(begun, 1)
        self.system.wait_pool("react", available=2, leased=1)
        wait_until(lambda: self.warnings() == [], lambda: f"no warning: {self.warnings()}")
        self.assertEqual((self.figure("warmpool_images_missing"), self.figure("warmpool_images_pulling")), (0, 0))
        self.assertEqual(len(self.lines("image_pull_started")), 1, "once for all that waited")
        self.assertEqual(self.lines("container_failed"), [])

    def test_when_it_is_removed_it_is_pulled_again(self):
        wait_until(lambda: is_there(self.image), "it was pulled")
        pulls = len(self.lines("image_pull_started"))
        self.registry.remove(self.image)
        for number in range(4):  # more than are ready
            self.serves(f"again-{number}", "react", self.image)
        self.line("image_pull_started", pulls + 1)


class Never(WithRegistry):
    options = {"pool.max_failures": 1, "pool.min_idle.react": 1, "host.reconcile_interval": 3600}

    @classmethod
    def choose(cls):
        cls.image = cls.registry.push("agents/react:1")
        cls.registry.gate.connections = 0
        return {"docker.image.react": cls.image}

    def test_no_registry_is_asked_unless_docker_pull_says_so(self):
        refused = self.acquire("n-1", timeout_ms=100000)
        self.assertEqual((refused["status"], refused["reason"]), ("rejected", f"unavailable: the image {self.image} is not on host w1"))
        wait_until(lambda: self.warnings() == ["react"], "a warning says so")
        stays(lambda: self.registry.gate.connections == 0, "nobody asks the registry")
        self.assertEqual(self.lines("image_pull_started"), [])

    def test_one_that_somebody_brings_is_noticed_within_seconds(self):
        """Creates have failed for want of it, and would be tried again only after a long pause."""
        wait_until(lambda: len(self.lines("container_failed")) >= 4, "creates fail")
        repository, _, tag = self.image.rpartition(":")
        engine("post", f"/images/warmpool-test:1/tag?repo={repository}&tag={tag}")
        begin = time.monotonic()
        self.is_kept_ready()
        print(f"one is ready {time.monotonic() - begin:.1f} s after the image came")
        self.assertEqual(self.lines("image_pull_started"), [])


class Moved(WithRegistry):
    options = {"docker.pull.moves": "always", "docker.pull.stays": "missing", "docker.pull.pinned": "missing", "docker.pull_interval": 2}

    @classmethod
    def choose(cls):
        names, cls.before = {}, {}
        for name in ("moves", "stays"):
            names[name] = cls.registry.push(f"agents/{name}:1", keep=True)
            cls.before[name] = id_of(names[name])
        cls.after, _ = cls.registry.move("agents/moves:1"), cls.registry.move("agents/stays:1")
        cls.pinned = cls.registry.pin("agents/pinned:1")
        cls.images = {**names, "pinned": cls.pinned}
        return {f"docker.image.{name}": image for name, image in cls.images.items()}

    def test_always_follows_a_tag_at_the_start_and_at_intervals_and_missing_does_not(self):
        moves, stays_there = self.images["moves"], self.images["stays"]
        wait_until(lambda: id_of(moves) == self.after, "it is pulled at the start")
        again = self.registry.move("agents/moves:1")
        wait_until(lambda: id_of(moves) == again, "it is pulled again")
        self.assertEqual(id_of(stays_there), self.before["stays"])
        self.assertFalse([line for line in self.lines("image_pull_started") if stays_there in line])

    def test_an_image_is_pulled_by_its_digest(self):
        self.serves("p-1", "pinned", self.pinned)


if __name__ == "__main__":
    main()
